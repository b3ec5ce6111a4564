"""Sets of classes for test rows, as their fold's validation rows give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ramer.config import Report
from ramer.evaluation.bootstrap import draw_weights, interval
from ramer.evaluation.clusters import Clusters
from ramer.evaluation.conformal import judge
from ramer.evaluation.conformal_record import mean_over_seeds
from ramer.evaluation.predictions import PROBABILITY_PREFIX
from ramer.reporting.results import MethodResults, Results
from ramer.seeding import generator


@dataclass(frozen=True)
class SetsHeld:
    """How the sets of one method did under one condition.

    Attributes:
        covered: share of test rows whose set holds the true class; low, high: its interval over drawn clusters.
        missed: whether the whole interval lies below what was asked.
        size: mean number of classes in a set.
    """

    covered: float
    low: float
    high: float
    missed: bool
    size: float


def sets_held(results: Results, options: Report, clusters: Clusters) -> dict[str, dict[str, SetsHeld]]:
    """Per method that has calibrated sets and condition: how often they hold the true class, and how large they are."""
    weights = draw_weights(clusters.folds, options.draws, generator(options.seed, "bootstrap")).astype(np.float64)
    found = {}
    for name, method in results.methods.items():
        judged = judged_rows(method, results.held, results.label_names, options.coverage)
        if judged is not None:
            rows = judged.groupby("condition")
            found[name] = {str(c): _held(own, options, clusters, weights) for c, own in rows}
    return found


def _held(rows: pd.DataFrame, options: Report, clusters: Clusters, weights: np.ndarray) -> SetsHeld:
    cluster = rows["id"].map(clusters.of_row).to_numpy(dtype=np.int64)
    hits = np.bincount(cluster, weights=rows["covered"].to_numpy(dtype=np.float64), minlength=clusters.size)
    counts = np.bincount(cluster, minlength=clusters.size)
    low, high = interval(weights @ hits / np.maximum(weights @ counts, 1.0), options.confidence)
    return SetsHeld(float(rows["covered"].mean()), low, high, high < options.coverage, float(rows["size"].mean()))


def judged_rows(
    method: MethodResults, held: Mapping[str, str], label_names: list[str], coverage: float
) -> pd.DataFrame | None:
    """One line per test row and condition: id, condition, size of the set, whether it holds the true class.

    Args:
        held: letters of what a row holds by nature, by id.

    Returns:
        None for a method that was scored before its validation rows were kept.
    """
    if method.conformal is None:
        return None
    means = mean_over_seeds(method.predictions, label_names)
    proba = means[[PROBABILITY_PREFIX + name for name in label_names]].to_numpy(dtype=np.float64)
    # What nature left of the condition decides which validation rows a row is like.
    left = [
        "".join(x for x in c if x in held[i]) for i, c in zip(means["id"].astype(str), means["condition"], strict=True)
    ]
    labels = pd.Index(label_names).get_indexer(pd.Index(means["label"]))
    sizes, covered = np.zeros(len(means), dtype=np.int64), np.zeros(len(means), dtype=bool)
    for fold, rows in means.groupby("fold").indices.items():
        found = judge(method.conformal.folds.get(str(fold), {}), proba[rows], [left[r] for r in rows], coverage)
        assert found.members is not None
        sizes[rows] = found.members.sum(axis=1)
        covered[rows] = found.members[np.arange(len(rows)), labels[rows]]
    return means[["id", "condition"]].assign(size=sizes, covered=covered)
