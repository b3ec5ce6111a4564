"""``python -m tests.campaign.fuzzing READER COUNTS [libFuzzer's options] FOLDER``: atheris at one reader.

Writes tried, right and refused to the file COUNTS, and what went wrong, which also ends it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import atheris

# Without FAISS and torch, of which nothing reads files that strangers wrote.
with atheris.instrument_imports(include=["ramer", "csv", "yaml"], enable_loader_override=False):
    from tests.campaign.readers import READERS

_EVERY = 20  # inputs between two notes of what was tried


def main(name: str, counts: Path, options: list[str]) -> None:
    reader, folder = READERS[name], Path(tempfile.mkdtemp(prefix="ramer-fuzz-", dir=counts.parent))
    runs = next(int(option.partition("=")[2]) for option in options if option.startswith("-runs="))
    told: Counter[str] = Counter()

    def attempt(data: bytes) -> None:
        outcome = reader.attempt(data, folder)
        told["tried"] += 1
        told[outcome if outcome in ("right", "refused") else "wrong"] += 1
        if told["wrong"] or told["tried"] % _EVERY == 0 or told["tried"] >= runs:
            counts.write_text(json.dumps({**told, "said": outcome}), "utf-8")
        if told["wrong"]:
            raise AssertionError(outcome)  # keeps the input that did it

    atheris.Setup([sys.argv[0], *options], attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
