"""What ``dvc plots`` draws: small tables beside the report, which git keeps so that any two revisions compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ramer.evaluation.bootstrap import Bootstrap
from ramer.evaluation.model_cards import SHOWN_CONDITIONS
from ramer.files import atomic_directory
from ramer.modalities import FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.results import Results
from ramer.reporting.training_curves import SCORE_OF_ENCODERS, SCORE_OF_METHODS, by_epoch, trained_by_epochs

SCORE = "weighted_f1"


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
        for condition in SHOWN_CONDITIONS:
            row: dict[str, object] = {"method": method, "condition": condition}
            for metric, found in scores.items():
                ends = zip(("", "_low", "_high"), found[condition], strict=True)
                row |= {f"{metric}{end}": value for end, value in ends}
            rows.append(row)
    return pd.DataFrame(rows)


def _encoder_training(results: Results) -> pd.DataFrame:
    return _training(results.encoders, SCORE_OF_ENCODERS)


def _method_training(results: Results) -> pd.DataFrame:
    return _training({name: method.history for name, method in results.methods.items()}, SCORE_OF_METHODS)


def _training(histories: Mapping[str, pd.DataFrame], column: str) -> pd.DataFrame:
    """Mean validation score over replicates by epoch of what was trained by epochs; rows end where it stopped."""
    kept = trained_by_epochs(histories, column)
    curves = {name: by_epoch(history, column).mean(axis=1) for name, history in kept.items()}
    rows = [(name, epoch, score) for name, curve in curves.items() for epoch, score in curve.items()]
    return pd.DataFrame(rows, columns=["trained", "epoch", "validation_score"])


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
