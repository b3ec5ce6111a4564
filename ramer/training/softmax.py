"""Softmax over the columns, to the bits of SciPy's: whoever needs no more of SciPy does not wait for it to load."""

from __future__ import annotations

import numpy as np

LEAST_PROBABILITY = 1e-12  # what is smaller counts as this


def softmax(values: np.ndarray) -> np.ndarray:
    """Probabilities [n, classes] from scores or log probabilities, each row with at least one finite.

    Example:
        >>> softmax(np.array([[0.0, -np.inf, 0.0]])).tolist()
        [[0.5, 0.0, 0.5]]
    """
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_softmax(values: np.ndarray) -> np.ndarray:
    """Log probabilities [n, classes] from scores; a class without any has -inf."""
    top = values.max(axis=1, keepdims=True)
    lowered = values - np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(lowered - np.log(np.exp(lowered).sum(axis=1, keepdims=True)))


def log_of(proba: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, finite also where one is 0."""
    return np.asarray(np.log(np.maximum(proba, LEAST_PROBABILITY)))
