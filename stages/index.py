"""Index one modality's database rows: ``python -m stages.index <modality>``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.index import index

    return index


if __name__ == "__main__":
    run(stage, per="modality")
