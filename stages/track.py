"""Stage ``track``: one complete MLflow run of everything that the pipeline wrote."""

from __future__ import annotations

import os
from pathlib import Path

from ramer.config import Config
from ramer.tracking import track
from stages._run import run


def main(config: Config) -> None:
    track(config, Path.cwd(), Path(".tracking/receipt.json"), environment=os.environ)


if __name__ == "__main__":
    run(main, computes=False)
