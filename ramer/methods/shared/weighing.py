"""Weights of a logarithmic opinion pool, fitted on validation rows and held near equality."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax


def fit_weights(
    logs: Float[np.ndarray, "members n classes"], labels: Int[np.ndarray, " n"], pull: float
) -> Float[np.ndarray, " members"]:
    """Non-negative weights with the least log loss + pull * |w - 1 / members|^2.

    They need not sum to one: the sum is the pool's temperature.

    Args:
        logs: log probabilities of calibrated members.
        labels: class numbers.
        pull: towards equal weights; few rows cannot move far from them.
    """
    members, n, _ = logs.shape
    equal = np.full(members, 1.0 / members)
    if not n:
        return equal
    own = logs[:, np.arange(n), labels]  # [members, n]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = log_softmax(np.tensordot(weights, logs, 1), axis=1)
        value = -(mixed[np.arange(n), labels]).mean() + pull * ((weights - equal) ** 2).sum()
        expected = np.einsum("nc,mnc->mn", np.exp(mixed), logs)
        return float(value), (expected - own).mean(axis=1) + 2 * pull * (weights - equal)

    found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * members)
    return np.asarray(found.x)
