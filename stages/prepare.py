"""Read, check and split the corpus: ``python -m stages.prepare``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.prepare import prepare

    return prepare


if __name__ == "__main__":
    run(stage)
