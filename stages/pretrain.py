"""Train one modality's encoders: ``python -m stages.pretrain <modality>``."""

from ramer.pipeline.pretrain import pretrain
from stages._harness import run

if __name__ == "__main__":
    run(pretrain, per="modality")
