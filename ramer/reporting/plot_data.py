"""What ``dvc plots`` draws: small tables beside the report, which git keeps so that any two revisions compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ramer.evaluation.bootstrap import Bootstrap
from ramer.files import atomic_directory
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.results import Results

SCORE = "weighted_f1"
SCORE_OF_ENCODERS = "val_weighted_f1"
SCORE_OF_METHODS = "val_selection"
# In the order in which people look.
SHOWN = (AVERAGE, FULL_CONDITION, *(c for c in CONDITIONS if c != FULL_CONDITION))


def write_plot_data(results: Results, bootstrap: Bootstrap, folder: Path) -> None:
    """Write ``scores.csv``, ``encoder_training.csv``, ``method_training.csv`` and ``confusion.csv``.

    Scores are fractions. What was not trained by epochs has no row in the tables of training.
    """
    tables: Mapping[str, Callable[[], pd.DataFrame]] = {
        "scores": lambda: score_intervals(list(results.methods), bootstrap),
        "encoder_training": lambda: _encoder_training(results),
        "method_training": lambda: _method_training(results),
        "confusion": lambda: _confusion(results),
    }
    with atomic_directory(folder) as temporary:
        for name, table in tables.items():
            table().to_csv(temporary / f"{name}.csv", index=False, float_format="%.6f", lineterminator="\n")


def score_intervals(methods: list[str], bootstrap: Bootstrap, metrics: tuple[str, ...] = (SCORE,)) -> pd.DataFrame:
    """One row per method and condition: every metric with the ends of its interval.

    Returns:
        The columns method, condition, and per metric ``<metric>``, ``<metric>_low``, ``<metric>_high``.
    """
    rows = []
    for method in methods:
        scores = {metric: bootstrap.scores(method, metric) for metric in metrics}
        for condition in SHOWN:
            row: dict[str, object] = {"method": method, "condition": condition}
            for metric, found in scores.items():
                ends = zip(("", "_low", "_high"), found[condition], strict=True)
                row |= {f"{metric}{end}": value for end, value in ends}
            rows.append(row)
    return pd.DataFrame(rows)


def _encoder_training(results: Results) -> pd.DataFrame:
    return _training({m: _curve(history, SCORE_OF_ENCODERS) for m, history in results.encoders.items()})


def _method_training(results: Results) -> pd.DataFrame:
    return _training({name: _curve(method.history, SCORE_OF_METHODS) for name, method in results.methods.items()})


def _training(curves: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Mean validation score over epochs of what was trained by epochs; rows end where it stopped."""
    kept = {name: curve for name, curve in curves.items() if len(curve) > 1}
    rows = [(name, epoch, score) for name, curve in kept.items() for epoch, score in curve.items()]
    return pd.DataFrame(rows, columns=["trained", "epoch", "validation_score"])


def _curve(history: pd.DataFrame, column: str) -> pd.Series:
    """Mean over replicates by epoch; a replicate that stopped keeps its last value, so that nothing jumps."""
    if column not in history:
        return pd.Series(dtype=float, index=pd.Index([], dtype=int))
    table = history.pivot(index="epoch", columns="replicate", values=column).sort_index().ffill()
    return table.mean(axis=1)


def _confusion(results: Results) -> pd.DataFrame:
    """Test clips by true and predicted class, with everything there and summed over the conditions that lack something.

    Cells without a clip are left out off the diagonal: with many classes nearly all are empty.
    """
    names, rows = results.label_names, []
    for method, found in results.methods.items():
        missing = np.sum([found.confusion[c] for c in MISSING_CONDITIONS], axis=0)
        for condition, counts in ((FULL_CONDITION, found.confusion[FULL_CONDITION]), ("missing", missing)):
            share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            rows += [
                (method, condition, names[i], names[j], int(counts[i, j]), share[i, j])
                for i, j in np.argwhere((counts > 0) | (np.eye(len(names)) * counts.sum(axis=1, keepdims=True) > 0))
            ]
    return pd.DataFrame(rows, columns=["method", "condition", "actual", "predicted", "clips", "share"])
