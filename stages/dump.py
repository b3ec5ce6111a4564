"""Write one modality's hidden states and posteriors: ``python -m stages.dump <modality>``."""

from __future__ import annotations

from pathlib import Path

from ramer.config import Config
from ramer.files import digest_file
from ramer.training.dump import dump
from stages._run import run


def main(config: Config, modality: str) -> None:
    code = Path("data/code/dump.json")
    dump(
        config,
        modality,
        Path("data/prepared"),
        Path("models/encoders") / modality,
        Path("data/states") / modality,
        # Not below data/states, which other stages depend on as a whole.
        reuse=Path("data/.dump") / modality if code.is_file() else None,
        code=digest_file(code) if code.is_file() else "",
    )


if __name__ == "__main__":
    run(main, needs_item=True)
