"""The code of the guides, as a reader would put it in place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tests.support.closure import ROOT

APPENDED = "at the end of "


def code_of(page: str) -> dict[str, str]:
    """Python blocks of a page that say in their first line where they belong, by that place."""
    text = (ROOT / page).read_text("utf-8")
    return dict(
        re.findall(r"^```python\n# ((?:at the end of )?ramer/\S+\.py)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    )


def write_code(code: Mapping[str, str], root: Path) -> None:
    """Write new files, and append to those that are there."""
    for place, text in code.items():
        file = root / place.removeprefix(APPENDED)
        assert file.exists() == place.startswith(APPENDED), place
        before = file.read_text("utf-8") + "\n\n" if file.exists() else ""
        file.write_text(before + text, "utf-8")


def write_csv_corpus(path: Path, missing: Mapping[str, int]) -> None:
    """60 clips of 12 speakers; the first ``missing`` training rows lack that modality."""
    rng = np.random.default_rng(0)
    number = np.arange(60)
    table = pd.DataFrame(
        {
            "id": [f"clip{i}" for i in number],
            "speaker": [f"s{i % 12}" for i in number],
            "split": np.select([number % 12 < 8, number % 12 < 10], ["train", "val"], "test"),
            "label": np.where(number // 12 % 2, "glad", "sad"),
        }
    )
    for letter, dim in (("a", 2), ("v", 3)):
        for column in range(dim):
            values = rng.normal(size=60)
            values[np.flatnonzero(table["split"] == "train")[: missing.get(letter, 0)]] = np.nan
            table[f"{letter}_{column}"] = values
    table.to_csv(path, index=False)
