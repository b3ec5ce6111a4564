"""Scores of whole tables of counts at once, as the bootstrap needs them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

Labels = Int[np.ndarray, " rows"]


def class_counts(
    labels: Labels, predicted: Labels, classes: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per class: hits, times predicted, times true."""
    classes = classes or int(max(np.max(labels), np.max(predicted))) + 1
    true, guessed = np.asarray(labels), np.asarray(predicted)
    hits, times_predicted, support = (
        np.bincount(held, minlength=classes).astype(np.float64) for held in (true[true == guessed], guessed, true)
    )
    return hits, times_predicted, support


def weighted_f1_of_counts(
    hits: Float[np.ndarray, "*more classes"],
    predicted: Float[np.ndarray, "*more classes"],
    support: Float[np.ndarray, "*more classes"],
) -> Float[np.ndarray, "*more"]:
    """Weighted F1 of many tables at once, from what a confusion matrix says per class.

    Args:
        hits, predicted, support: the diagonal, the column sums and the row sums of each confusion matrix.
    """
    f1 = 2.0 * hits / np.maximum(predicted + support, 1.0)
    rows = np.maximum(support.sum(axis=-1), 1.0)
    return np.asarray((f1 * support).sum(axis=-1) / rows)


def uar_of_counts(
    hits: Float[np.ndarray, "*more classes"],
    predicted: Float[np.ndarray, "*more classes"],
    support: Float[np.ndarray, "*more classes"],
) -> Float[np.ndarray, "*more"]:
    """UAR of many tables at once; arguments as for ``weighted_f1_of_counts``."""
    recall = hits / np.maximum(support, 1.0)
    present = np.maximum((support > 0).sum(axis=-1), 1)
    return np.asarray(recall.sum(axis=-1) / present)


# Those that follow from counts alone, and so are also taken over drawn masks and in the bootstrap.
COUNT_METRICS: dict[str, Callable[..., np.ndarray]] = {"weighted_f1": weighted_f1_of_counts, "uar": uar_of_counts}
