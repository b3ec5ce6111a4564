"""Train one method on every replicate: ``python -m stages.train <method>``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.train import train

    return train


if __name__ == "__main__":
    run(stage, per="method")
