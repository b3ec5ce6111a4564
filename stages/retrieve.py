"""Find one modality's neighbours: ``python -m stages.retrieve <modality>``."""

from __future__ import annotations

from pathlib import Path

from ramer.config import Config
from ramer.retrieval.neighbours import retrieve
from stages._run import run


def main(config: Config, modality: str) -> None:
    retrieve(
        config,
        modality,
        Path("data/prepared"),
        Path("data/states") / modality,
        Path("models/index") / modality,
        Path("data/neighbours") / modality,
    )


if __name__ == "__main__":
    run(main, needs_item=True)
