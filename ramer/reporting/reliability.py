"""How far confidence can be trusted: accuracy of the predictions that a method is about so sure of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ramer.evaluation.predictions import PROBABILITY_PREFIX
from ramer.modalities import CONDITIONS, FULL_CONDITION, MISSING_CONDITIONS

BINS = 10
FEWEST = 10  # predictions of a bin that is shown
GROUPS = {"some missing": MISSING_CONDITIONS, "all available": (FULL_CONDITION,)}


class Bin(NamedTuple):
    """Predictions of one range of confidence: mean confidence and accuracy as fractions, and how many rows they are."""

    confidence: float
    accuracy: float
    rows: int


def reliability(table: pd.DataFrame, label_names: Sequence[str]) -> dict[str, list[Bin]]:
    """The bins of each group of conditions, all seeds together; a bin with fewer than ten predictions is left out.

    Args:
        table: rows of ``predictions.parquet``.
    """
    sure = table[[PROBABILITY_PREFIX + name for name in label_names]].to_numpy(dtype=np.float64).max(axis=1)
    right = (table["label"] == table["predicted"]).to_numpy()
    place = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)  # as the calibration error bins
    conditions = table["condition"].to_numpy()
    found = {}
    for group, held in GROUPS.items():
        wanted = np.isin(conditions, held)
        masks = (wanted & (place == i) for i in range(BINS))
        found[group] = [
            Bin(float(sure[m].mean()), float(right[m].mean()), int(m.sum())) for m in masks if m.sum() >= FEWEST
        ]
    return found


def mean_confidence(table: pd.DataFrame, label_names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Mean confidence and accuracy per condition, all seeds together."""
    sure = table[[PROBABILITY_PREFIX + name for name in label_names]].to_numpy(dtype=np.float64).max(axis=1)
    right = (table["label"] == table["predicted"]).to_numpy()
    conditions = table["condition"].to_numpy()
    masks = {c: conditions == c for c in CONDITIONS}
    return {c: (float(sure[m].mean()), float(right[m].mean())) for c, m in masks.items()}
