"""The product of unimodal posteriors: conditional independence of the modalities given the class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ramer.modalities import MODALITIES
from ramer.training.batches import Batch
from ramer.training.softmax import log_of, log_softmax, softmax

UNSEEN = -np.inf  # intercept of a class that none of a modality's rows has: the modality says nothing of it


def multiply(coefficients: Mapping[str, np.ndarray], prior: np.ndarray, batch: Batch) -> np.ndarray:
    """Posteriors [n, classes]: log posteriors of what is available, less the log prior of each extra one.

    Kittler et al., "On Combining Classifiers", TPAMI 1998.

    Args:
        coefficients: [dim + 1, classes] per modality that has a regression, the intercept last.
        prior: class frequencies of the training rows.
    """
    log_prior = log_of(prior)
    total = np.tile(log_prior, (len(batch), 1))
    for i, m in enumerate(MODALITIES):
        held = batch.available[:, i]
        if m in coefficients and held.any():
            matrix = coefficients[m]
            scores = batch.features[m][held].astype(np.float64) @ matrix[:-1] + matrix[-1]
            total[held] += np.where(matrix[-1] == UNSEEN, 0.0, log_softmax(scores) - log_prior)
    return softmax(total)
