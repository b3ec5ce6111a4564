"""Train one modality's encoders: ``python -m stages.pretrain <modality>``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.pretrain import pretrain

    return pretrain


if __name__ == "__main__":
    run(stage, per="modality")
