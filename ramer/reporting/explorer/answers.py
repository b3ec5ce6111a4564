"""What every method said of the clips under the seven conditions, and how two methods differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ramer.evaluation.bootstrap import COLUMNS, Bootstrap
from ramer.evaluation.metrics import condition_positions
from ramer.evaluation.predictions import PROBABILITY_PREFIX
from ramer.modalities import CONDITIONS
from ramer.reporting.explorer.arrays import Packed, packed
from ramer.reporting.explorer.shown_clips import Clips
from ramer.reporting.findings import SCORE
from ramer.reporting.results import Results
from ramer.reporting.sets import judged_rows

STEPS = 255  # a probability is held in so many steps


def answers(tables: Mapping[str, pd.DataFrame], clips: Clips, label_names: Sequence[str]) -> dict[str, Packed]:
    """Mean probabilities over seeds, the class that they favour, and how many seeds were right by themselves.

    Returns:
        ``probabilities`` uint8 [methods, conditions, clips, classes] in 255ths, ``said`` uint8 and ``right`` uint8
        [methods, conditions, clips].
    """
    means = np.stack([_mean_probabilities(table, clips, label_names) for table in tables.values()])
    right = np.stack([_seeds_right(table, clips) for table in tables.values()])
    return {
        "probabilities": packed(np.round(STEPS * means).astype(np.uint8)),
        "said": packed(means.argmax(axis=-1).astype(np.uint8)),
        "right": packed(right.astype(np.uint8)),
    }


def set_sizes(results: Results, names: Sequence[str], clips: Clips, coverage: float) -> dict[str, Packed]:
    """Classes in the set of each clip, and whether the true one is among them.

    Returns:
        ``size`` uint8 and ``covered`` uint8 [methods, conditions, clips]; size 0 for a method without sets.
    """
    sizes = np.zeros((len(names), len(CONDITIONS), len(clips)), dtype=np.uint8)
    covered = np.zeros_like(sizes)
    for method, name in enumerate(names):
        judged = judged_rows(results.methods[name], results.held, results.label_names, coverage)
        if judged is not None:
            lines, condition, clip = _places(judged, clips)
            sizes[method, condition, clip] = judged["size"].to_numpy()[lines]
            covered[method, condition, clip] = judged["covered"].to_numpy()[lines]
    return {"size": packed(sizes), "covered": packed(covered)}


def _places(table: pd.DataFrame, clips: Clips) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines of the table that are about a shown clip, their condition and their clip."""
    clip = pd.Index(clips.ids).get_indexer(pd.Index(table["id"].astype(str)))
    lines = np.flatnonzero(clip >= 0)
    return lines, condition_positions(table["condition"].to_numpy())[lines], clip[lines]


def _mean_probabilities(table: pd.DataFrame, clips: Clips, label_names: Sequence[str]) -> np.ndarray:
    lines, condition, clip = _places(table, clips)
    proba = table[[PROBABILITY_PREFIX + name for name in label_names]].to_numpy(dtype=np.float64)[lines]
    total = np.zeros((len(CONDITIONS), len(clips), len(label_names)))
    np.add.at(total, (condition, clip), proba)
    return total / np.maximum(total.sum(axis=-1, keepdims=True), 1e-12)


def _seeds_right(table: pd.DataFrame, clips: Clips) -> np.ndarray:
    lines, condition, clip = _places(table, clips)
    right = np.zeros((len(CONDITIONS), len(clips)), dtype=np.int64)
    hit = (table["label"].to_numpy() == table["predicted"].to_numpy())[lines]
    np.add.at(right, (condition, clip), hit)
    return right


def differences(bootstrap: Bootstrap, names: Sequence[str]) -> Packed:
    """Weighted F1 of every method less that of every other, all test rows: difference, low, high.

    Returns:
        float32 [methods, methods, conditions and avg6, 3], NaN on the diagonal.
    """
    found = np.full((len(names), len(names), len(COLUMNS), 3), np.nan, dtype=np.float32)
    place = {name: i for i, name in enumerate(names)}
    for reference in names if len(names) > 1 else ():
        for c in bootstrap.compare(reference, [(SCORE, column) for column in COLUMNS], names):
            cell = place[c.method], place[reference], COLUMNS.index(c.condition)
            found[cell] = c.difference, c.low, c.high
    return packed(found)
