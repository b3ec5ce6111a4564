"""What was trained by epochs, as curves."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

SCORE_OF_ENCODERS = "val_weighted_f1"
SCORE_OF_METHODS = "val_selection"


def trained_by_epochs(histories: Mapping[str, pd.DataFrame], column: str) -> dict[str, pd.DataFrame]:
    """Histories that hold a curve: the column, and more than one epoch."""
    return {n: h for n, h in histories.items() if column in h and h["epoch"].nunique() > 1}


def by_epoch(history: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column as a table, a row per epoch and a column per replicate.

    A replicate that stopped keeps its last value, so that a mean does not jump when one leaves.
    """
    return history.pivot(index="epoch", columns="replicate", values=column).sort_index().ffill()
