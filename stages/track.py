"""Log one complete MLflow run: ``python -m stages.track``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.track import track

    return track


if __name__ == "__main__":
    run(stage)
