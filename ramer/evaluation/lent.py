"""``lent.parquet``: which clips lent their states to a test row, as ``evaluate`` saw it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ramer.errors import StaleError, raise_if_scarce
from ramer.files import read_table

LENT_FILE = "lent.parquet"
COLUMNS = ("id", "condition", "modality", "rank", "neighbour", "score", "label")


def read_lent(folder: Path) -> pd.DataFrame | None:
    """The table of a method's results: one line per test row, condition, missing modality and rank.

    ``label`` is empty for a clip without one. Only the first seed of each fold is kept: the others look alike and
    would make the file as large as the corpus.

    Returns:
        None for a method that lends nothing, or one that was scored before there was such a file.

    Raises:
        StaleError: the file is torn or lacks a column.
    """
    path = folder / LENT_FILE
    if not path.exists():
        return None
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise_if_scarce(error)
        raise StaleError(f"{path}: not a parquet table ({' '.join(str(error).split())[:120]})", folder) from None
    absent = [c for c in COLUMNS if c not in table.columns]
    if absent:
        raise StaleError(f"{path}: expected the columns {', '.join(absent)}", folder)
    return table
