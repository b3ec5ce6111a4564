"""Write one modality's hidden states and posteriors: ``python -m stages.dump <modality>``."""

from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.dump import dump

    return dump


if __name__ == "__main__":
    run(stage, per="modality")
