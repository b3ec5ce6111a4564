"""Log probabilities of a member of some skill, made for tests of weights."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax


def made_logs(rng: np.random.Generator, labels: np.ndarray, skill: float) -> np.ndarray:
    """Log probabilities [n, 3], noise where the skill is 0."""
    return np.asarray(log_softmax(rng.normal(size=(len(labels), 3)) + skill * np.eye(3)[labels], axis=1))
