"""Index one modality's database rows: ``python -m stages.index <modality>``."""

from __future__ import annotations

from pathlib import Path

from ramer.config import Config
from ramer.retrieval.index import build_index
from stages._run import run


def main(config: Config, modality: str) -> None:
    build_index(
        config, modality, Path("data/prepared"), Path("data/states") / modality, Path("models/index") / modality
    )


if __name__ == "__main__":
    run(main, needs_item=True)
