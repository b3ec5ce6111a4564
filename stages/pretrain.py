"""Train one modality's encoders: ``python -m stages.pretrain <modality>``."""

from __future__ import annotations

from pathlib import Path

from ramer.config import Config
from ramer.training.pretrain import pretrain
from stages._run import run


def main(config: Config, modality: str) -> None:
    pretrain(config, modality, Path("data/prepared"), Path("models/encoders") / modality)


if __name__ == "__main__":
    run(main, needs_item=True)
