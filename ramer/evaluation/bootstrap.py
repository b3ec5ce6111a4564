"""Differences between methods with intervals and tests that do not mistake noise for progress.

Seeds share their test rows, and rows share their speaker. So scores are averaged over
seeds, and whole test clusters are resampled once per draw, the same draw for every seed,
method and condition, stratified by fold (paired cluster bootstrap, Davison & Hinkley,
"Bootstrap Methods and their Application", 1997, ch. 2 and 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from ramer.errors import RamerError
from ramer.evaluation.clusters import Clusters, find_clusters
from ramer.evaluation.count_metrics import COUNT_METRICS
from ramer.evaluation.metrics import condition_positions
from ramer.evaluation.scenarios import Scenario
from ramer.modalities import AVERAGE, CONDITIONS, MISSING_CONDITIONS
from ramer.seeding import generator

COLUMNS: tuple[str, ...] = (*CONDITIONS, AVERAGE)


@dataclass(frozen=True)
class Counts:
    """What confusion matrices say per class: diagonal, column sums, row sums.

    Attributes:
        hits, predicted, support: float32 [clusters, seeds, conditions, classes].
    """

    hits: np.ndarray
    predicted: np.ndarray
    support: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """A method's mean score minus the reference's, with interval and two-sided p; fractions, not points."""

    method: str
    reference: str
    metric: str
    condition: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def draw_weights(
    folds: Int[np.ndarray, " clusters"], draws: int, rng: np.random.Generator
) -> Float[np.ndarray, "draws clusters"]:
    """How often each cluster is in each bootstrap draw; every fold keeps its number of clusters."""
    weights = np.zeros((draws, len(folds)), dtype=np.float32)
    for fold in np.unique(folds):
        members = np.flatnonzero(folds == fold)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1.0 / len(members)), size=draws)
    return weights


def count_table(table: pd.DataFrame, clusters: Clusters, label_names: Sequence[str]) -> Counts:
    """Count hits, predictions and true labels of a predictions table per cluster, seed, condition and class."""
    seeds, seed = np.unique(table["seed"].to_numpy(), return_inverse=True)
    index = pd.Index(list(label_names))
    labels, predicted = (index.get_indexer(pd.Index(table[c])) for c in ("label", "predicted"))
    cluster = table["id"].map(clusters.of_row).to_numpy(dtype=np.int64)
    shape = (clusters.size, len(seeds), len(CONDITIONS), len(index))
    cell = (cluster * shape[1] + seed) * shape[2] + condition_positions(table["condition"].to_numpy())

    def count(classes: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        flat = (cell * shape[3] + classes)[rows]
        return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.float32)

    return Counts(count(labels, labels == predicted), count(predicted), count(labels))


def score_draws(
    counts: Counts,
    weights: Float[np.ndarray, "draws clusters"],
    metrics: Sequence[str],
    scenarios: Sequence[Scenario] = (),
) -> dict[str, np.ndarray]:
    """Scores of every draw, averaged over seeds.

    Returns:
        Per metric float64 [draws, 8 + scenarios]: the conditions in order, their avg6, the scenarios.
    """
    clusters = len(counts.hits)
    flat = np.concatenate([a.reshape(clusters, -1) for a in (counts.hits, counts.predicted, counts.support)], axis=1)
    summed = (weights.astype(np.float32) @ flat).reshape(len(weights), 3, *counts.hits.shape[1:])
    tables = (summed[:, 0], summed[:, 1], summed[:, 2])
    missing = [i for i, c in enumerate(CONDITIONS) if c in MISSING_CONDITIONS]
    scores = {}
    for metric in metrics:
        per_seed = COUNT_METRICS[metric](*tables).astype(np.float64)
        means = per_seed.mean(axis=1)
        mixed = [s.score(COUNT_METRICS[metric], *tables).mean(axis=1) for s in scenarios]
        scores[metric] = np.column_stack([means, means[:, missing].mean(axis=1), *mixed])
    return scores


def interval(differences: Float[np.ndarray, " draws"], confidence: float) -> tuple[float, float]:
    """Percentile interval of bootstrap differences."""
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(differences, [tail, 1.0 - tail])
    return float(low), float(high)


def p_value(differences: Float[np.ndarray, " draws"]) -> float:
    """Two-sided bootstrap p: twice the smaller share of draws on either side of 0; never 0, as draws are finite.

    Example:
        >>> p_value(np.arange(1.0, 100.0))  # never below zero in 99 draws
        0.02
    """
    draws = len(differences)
    smaller = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2.0 * (smaller + 1) / (draws + 1))


def holm(p: Sequence[float]) -> list[float]:
    """p adjusted for having tested several methods (Holm, 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(np.asarray(p, dtype=np.float64), kind="stable")
    factors = np.arange(len(p), 0, -1)
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * factors))
    result = np.empty(len(p))
    result[order] = adjusted
    return [float(v) for v in result]


class Bootstrap:
    """One set of draws for all methods, seeds and conditions; compares any method with any reference.

    Args:
        tables: rows of ``predictions.parquet`` per method. All must hold the same test rows.
        groups: speaker, video or dialogue per id; see ``find_clusters``.
        draws, confidence, seed: number of draws, coverage of the intervals, seed of the draws.
        scenarios: ways of going missing at random that are compared beside the conditions.

    Raises:
        RamerError: two methods were scored on different rows, or a row was scored twice.
    """

    def __init__(
        self,
        tables: Mapping[str, pd.DataFrame],
        groups: Mapping[str, str | None],
        label_names: Sequence[str],
        *,
        unit: str = "speaker",
        draws: int = 2000,
        confidence: float = 0.95,
        seed: int = 0,
        scenarios: Sequence[Scenario] = (),
    ) -> None:
        _check_paired(tables)
        self.columns = (*COLUMNS, *(s.name for s in scenarios))
        self.families = (*(("weighted_f1", c) for c in self.columns), ("uar", AVERAGE))
        self.confidence = confidence
        self.clusters = find_clusters(next(iter(tables.values())), groups, unit)
        weights = draw_weights(self.clusters.folds, draws, generator(seed, "bootstrap"))
        once = np.ones((1, self.clusters.size), dtype=np.float32)
        self._drawn: dict[str, dict[str, np.ndarray]] = {}
        self._observed: dict[str, dict[str, np.ndarray]] = {}
        for name, table in tables.items():
            counts = count_table(table, self.clusters, label_names)
            self._drawn[name] = score_draws(counts, weights, list(COUNT_METRICS), scenarios)
            self._observed[name] = score_draws(counts, once, list(COUNT_METRICS), scenarios)

    def scores(self, method: str, metric: str) -> dict[str, tuple[float, float, float]]:
        """A method's own score with its interval (low, high), per condition, avg6 and scenario."""
        observed, drawn = self._observed[method][metric][0], self._drawn[method][metric]
        return {
            column: (float(observed[place]), *interval(drawn[:, place], self.confidence))
            for place, column in enumerate(self.columns)
        }

    def compare(
        self, reference: str, families: Sequence[tuple[str, str]] = (), methods: Sequence[str] | None = None
    ) -> list[Comparison]:
        """Compare methods (default: all others) with the reference; Holm within each (metric, condition).

        Args:
            families: metric and condition (or scenario); none: ``self.families``.
        """
        families = families or self.families
        names = [n for n in (methods or self._drawn) if n != reference]
        comparisons = []
        for metric, condition in families:
            place = self.columns.index(condition)
            drawn = {n: self._drawn[n][metric][:, place] - self._drawn[reference][metric][:, place] for n in names}
            p = {n: p_value(d) for n, d in drawn.items()}
            adjusted = dict(zip(names, holm(list(p.values())), strict=True))
            for n in names:
                difference = self._observed[n][metric][0, place] - self._observed[reference][metric][0, place]
                low, high = interval(drawn[n], self.confidence)
                comparisons.append(
                    Comparison(n, reference, metric, condition, float(difference), low, high, p[n], adjusted[n])
                )
        return comparisons


def _check_paired(tables: Mapping[str, pd.DataFrame]) -> None:
    keys = ["id", "fold", "seed", "condition", "label"]
    first: tuple[str, pd.DataFrame] | None = None
    faults = []
    for name, table in tables.items():
        rows = table[keys].sort_values(keys, ignore_index=True)
        twice = rows.duplicated(["id", "seed", "condition"])
        if twice.any():
            where = rows[twice].iloc[0]
            faults.append(
                f"predictions of {name}: {where['id']}: expected one row under {where['condition']} with seed "
                f"{where['seed']}, got several"
            )
        if first is None:
            first = (name, rows)
        elif not first[1].equals(rows.astype(first[1].dtypes)):
            faults.append(f"predictions of {name}: expected the same test rows, seeds and labels as {first[0]}")
    if faults:
        raise RamerError(faults)
