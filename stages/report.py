"""Compare the methods: ``python -m stages.report``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.report import report

    return report


if __name__ == "__main__":
    run(stage)
