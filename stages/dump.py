"""Write one modality's hidden states and posteriors: ``python -m stages.dump <modality>``."""

from __future__ import annotations

from pathlib import Path

from ramer.config import Config
from ramer.training.dump import dump
from stages._run import run


def main(config: Config, modality: str) -> None:
    dump(config, modality, Path("data/prepared"), Path("models/encoders") / modality, Path("data/states") / modality)


if __name__ == "__main__":
    run(main, needs_item=True)
