"""Temperature scaling on validation rows, one temperature per set of available modalities.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. The predicted class never changes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ramer.modalities import CONDITIONS
from ramer.training.batches import Batch
from ramer.training.labelled_rows import LabelledRows
from ramer.training.softmax import log_of

TEMPERATURES = np.geomspace(0.25, 16.0, 61)
PATTERNS = 8  # sets of modalities
LEAST_ROWS = 30  # a set of modalities with fewer validation rows takes the temperature of all rows together


def pattern_codes(available: np.ndarray) -> np.ndarray:
    """A number 0 to 7 per row for which modalities it holds; bool [n, 3] to int64 [n]."""
    return np.asarray(available @ np.array([4, 2, 1]), dtype=np.int64)


def calibrated(predict: Callable[[Batch], np.ndarray], val: LabelledRows) -> np.ndarray:
    """``fit_temperatures`` of what is predicted for validation rows under every condition."""
    proba, labels, codes = [], [], []
    for condition in CONDITIONS:
        batch = val.under(condition)
        some = batch.available.any(axis=1)
        proba.append(predict(batch)[some])
        labels.append(val.labels[some])
        codes.append(pattern_codes(batch.available[some]))
    return fit_temperatures(*(np.concatenate(parts) for parts in (proba, labels, codes)))


def fit_temperatures(proba: np.ndarray, labels: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The temperature per pattern that gives validation rows the least negative log likelihood, float64 [8].

    Args:
        proba: [n, classes] as predicted.
        labels: class numbers [n].
        codes: from ``pattern_codes`` [n].
    """
    logs = log_of(proba)
    losses = np.stack([_losses(logs, labels, t) for t in TEMPERATURES])  # [temperatures, n]
    chosen = np.full(PATTERNS, TEMPERATURES[losses.mean(axis=1).argmin()] if len(labels) else 1.0)
    for code in np.unique(codes):
        members = codes == code
        if members.sum() >= LEAST_ROWS:
            chosen[code] = TEMPERATURES[losses[:, members].mean(axis=1).argmin()]
    return chosen


def scale(proba: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """Probabilities [n, classes] sharpened or softened by a temperature per row [n]."""
    logs = log_of(proba) / temperatures[:, None]
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _losses(logs: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    scaled = logs / temperature
    top = scaled.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(scaled - top).sum(axis=1)) + top[:, 0]
    return normaliser - scaled[np.arange(len(labels)), labels]
