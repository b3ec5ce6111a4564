"""Find one modality's neighbours: ``python -m stages.retrieve <modality>``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.retrieve import retrieve

    return retrieve


if __name__ == "__main__":
    run(stage, per="modality")
