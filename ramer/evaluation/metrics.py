"""Scores of predictions: the field's metrics, and the score that selects.

Class numbers are positions in ``label_names``. A class that is neither true nor predicted
in the scored rows is left out of macro averages, as in ``sklearn.metrics``, which the tests compare with. It is not
used here: scores of an epoch and of thousands of bootstrap draws come from counts, and importing it costs a stage
that trains a small head as much time as torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ramer.evaluation.count_metrics import Labels, class_counts, uar_of_counts, weighted_f1_of_counts
from ramer.modalities import CONDITIONS, FULL_CONDITION, MISSING_CONDITIONS

SELECTION_METRIC = "weighted_f1"


def accuracy(labels: Labels, predicted: Labels) -> float:
    """Share of rows that are right (the field's WA).

    Example:
        >>> accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
        0.75
    """
    return float(np.mean(np.asarray(labels) == np.asarray(predicted)))


def uar(labels: Labels, predicted: Labels) -> float:
    """Unweighted average recall over the classes that occur in ``labels``.

    Example:
        >>> uar(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))  # one class found, one not
        0.5
    """
    return float(uar_of_counts(*class_counts(labels, predicted)))


def weighted_f1(labels: Labels, predicted: Labels) -> float:
    """F1 per class, weighted by how often the class occurs: the MER challenge's metric.

    Example:
        >>> round(weighted_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])), 3)
        0.767
    """
    return float(weighted_f1_of_counts(*class_counts(labels, predicted)))


def macro_f1(labels: Labels, predicted: Labels) -> float:
    """Plain mean of the F1 of the classes that occur in ``labels`` or ``predicted``.

    Example:
        >>> round(macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])), 3)
        0.733
    """
    hits, guessed, support = class_counts(labels, predicted)
    seen = guessed + support > 0
    return float((2.0 * hits[seen] / (guessed + support)[seen]).mean())


def f1_per_class(labels: Labels, predicted: Labels, classes: int) -> Float[np.ndarray, " classes"]:
    """F1 of each class, 0 where a class is neither true nor predicted.

    Example:
        >>> f1_per_class(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3).round(3).tolist()
        [0.8, 0.667, 0.0]
    """
    hits, guessed, support = class_counts(labels, predicted, classes)
    return 2.0 * hits / np.maximum(guessed + support, 1.0)


def confusion(labels: Labels, predicted: Labels, classes: int) -> Int[np.ndarray, "classes classes"]:
    """Counts [true, predicted].

    Example:
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    flat = np.asarray(labels) * classes + np.asarray(predicted)
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def ece(labels: Labels, predicted: Labels, probabilities: Float[np.ndarray, "rows classes"], bins: int) -> float:
    """Expected calibration error over ``bins`` equal-width bins of confidence, in [0, 1].

    Confidence is the largest probability; bin i holds (i / bins, (i + 1) / bins]
    (Guo et al., "On Calibration of Modern Neural Networks", 2017).

    Raises:
        ValueError: a probability is not finite.

    Example:
        >>> sure = np.array([[0.9, 0.1], [0.9, 0.1]])  # 0.9 sure twice, right once
        >>> round(ece(np.array([0, 1]), np.array([0, 0]), sure, bins=15), 3)
        0.4
    """
    if not np.isfinite(probabilities).all():
        raise ValueError("ece: expected finite probabilities, got a NaN or an infinity")
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = np.asarray(labels) == np.asarray(predicted)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


@dataclass(frozen=True)
class Scored:
    """What a metric is given: the predictions for one condition of one seed.

    Attributes:
        labels: class numbers, int [n].
        predicted: class numbers, int [n].
        probabilities: float64 [n, classes].
        ece_bins: ``evaluate.ece_bins``.
    """

    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    ece_bins: int


METRICS: dict[str, Callable[[Scored], float]] = {
    "accuracy": lambda s: accuracy(s.labels, s.predicted),
    "uar": lambda s: uar(s.labels, s.predicted),
    "weighted_f1": lambda s: weighted_f1(s.labels, s.predicted),
    "macro_f1": lambda s: macro_f1(s.labels, s.predicted),
    "ece": lambda s: ece(s.labels, s.predicted, s.probabilities, s.ece_bins),
}


def selection_score(labels: np.ndarray, predicted: np.ndarray, condition: np.ndarray) -> float:
    """Mean weighted F1 over the six missing conditions and ``avt``, equal weights: what validation selects by.

    Args:
        labels: class numbers [n], one entry per row and condition.
        predicted: class numbers [n].
        condition: names of conditions, or positions in ``CONDITIONS``, [n].

    Raises:
        ValueError: lengths differ, a condition is unknown or one of the seven has no row.

    Example:
        >>> right, condition = np.zeros(7, dtype=int), np.arange(7)
        >>> selection_score(right, right, condition)
        1.0
    """
    labels, predicted, condition = (np.asarray(a) for a in (labels, predicted, condition))
    if not (labels.shape == predicted.shape == condition.shape and labels.ndim == 1):
        shapes = ", ".join(str(a.shape) for a in (labels, predicted, condition))
        raise ValueError(f"selection_score: expected three vectors of one length, got {shapes}")
    places = condition_positions(condition)
    classes = int(max(labels.max(initial=0), predicted.max(initial=0))) + 1
    flat = (places * classes + labels) * classes + predicted
    counts = np.bincount(flat, minlength=len(CONDITIONS) * classes**2).reshape(-1, classes, classes).astype(np.float64)
    empty = [name for name, table in zip(CONDITIONS, counts, strict=True) if not table.sum()]
    if empty:
        raise ValueError(
            f"selection_score: expected rows under all seven conditions, got none under {', '.join(empty)}"
        )
    hits = np.diagonal(counts, axis1=1, axis2=2)
    return float(weighted_f1_of_counts(hits, counts.sum(axis=1), counts.sum(axis=2)).mean())


def condition_positions(condition: np.ndarray) -> np.ndarray:
    """Positions in ``CONDITIONS`` [n] of names or positions [n].

    Raises:
        ValueError: a name or a position is unknown.
    """
    if condition.dtype.kind in "iu":
        places = condition.astype(np.int64)
    else:
        import pandas as pd  # here, for the stages that do without it

        places = pd.Index(list(CONDITIONS)).get_indexer(pd.Index(condition)).astype(np.int64)
    if len(places) and not (places.min() >= 0 and places.max() < len(CONDITIONS)):
        wrong = condition[(places < 0) | (places >= len(CONDITIONS))][0]
        raise ValueError(f"unknown condition {str(wrong)!r}, expected one of {', '.join(CONDITIONS)}")
    return places


def avg6(values: dict[str, float]) -> float:
    """Plain mean over the six missing-modality conditions; ``avt`` is not in it.

    Example:
        >>> avg6({"a": 0.3, "v": 0.3, "t": 0.3, "av": 0.6, "at": 0.6, "vt": 0.6, "avt": 0.9}).__round__(2)
        0.45
    """
    return float(np.mean([values[c] for c in MISSING_CONDITIONS]))


def retained(values: dict[str, float]) -> float:
    """Share of the full-modality score that is left on average when modalities are missing: avg6 / avt.

    Example:
        >>> retained({"a": 0.3, "v": 0.3, "t": 0.3, "av": 0.6, "at": 0.6, "vt": 0.6, "avt": 0.9}).__round__(2)
        0.5
    """
    full = values[FULL_CONDITION]
    return avg6(values) / full if full else float("nan")


def equity(values: dict[str, float]) -> float:
    """How evenly a score drops over the modality that is removed: 1 all alike, 0 one modality alone costs anything.

    A modality's cost is the mean drop of the score when it is removed from the conditions that hold it and another one;
    a rise counts as no drop. The index is the entropy of the modalities' shares in the summed cost, divided by its
    largest value. NaN where no removal costs anything. Name and idea: the Modality Equity Index of MissBench
    (arXiv 2603.09874), "how evenly modalities contribute across missing-modality configurations"; the formula is ours.

    Example:
        >>> even = {"a": 0.3, "v": 0.3, "t": 0.3, "av": 0.6, "at": 0.6, "vt": 0.6, "avt": 0.9}
        >>> equity(even).__round__(2)
        1.0
        >>> equity({c: 0.9 if "t" in c else 0.3 for c in even}).__round__(2)  # text decides alone
        0.0
    """
    costs = np.array([np.mean(_drops(values, letter)) for letter in FULL_CONDITION]).clip(min=0.0)
    if not costs.sum() > 0:
        return float("nan")
    shares = costs[costs > 0] / costs.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(costs))) + 0.0  # never -0.0


def _drops(values: dict[str, float], letter: str) -> list[float]:
    """What removing a modality costs, in each condition that holds it and another one."""
    return [values[c] - values[c.replace(letter, "")] for c in CONDITIONS if letter in c and len(c) > 1]
