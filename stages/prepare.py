"""Stage prepare: read, check and split the corpus."""

from __future__ import annotations

from pathlib import Path

from ramer.config import Config
from ramer.data.prepare import prepare
from stages._run import run


def main(config: Config) -> None:
    prepare(config, Path("data/prepared"))


if __name__ == "__main__":
    run(main)
