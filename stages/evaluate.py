"""Score one method under all seven conditions: ``python -m stages.evaluate <method>``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.evaluate import evaluate

    return evaluate


if __name__ == "__main__":
    run(stage, per="method")
