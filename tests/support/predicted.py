"""Predictions as a table, from arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ramer.modalities import CONDITIONS

NAMES = ("angry", "happy", "sad")


def table_of(predicted: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> pd.DataFrame:
    """A predictions table from predicted classes [seeds, 7, rows]."""
    seeds, conditions, rows = predicted.shape
    s, c, r = (a.ravel() for a in np.meshgrid(range(seeds), range(conditions), range(rows), indexing="ij"))
    return pd.DataFrame(
        {
            "id": [f"clip{i:04}" for i in r],
            "fold": folds[r],
            "seed": s,
            "condition": np.array(list(CONDITIONS))[c],
            "label": np.array(NAMES)[labels[r]],
            "predicted": np.array(NAMES)[predicted.ravel()],
        }
    )
