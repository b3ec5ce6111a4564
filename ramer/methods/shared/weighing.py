"""Weights of a logarithmic opinion pool, fitted on validation rows and held near equality; whether a member pays."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from ramer.training.softmax import log_softmax


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
    from scipy.optimize import minimize  # here, for those who read weights that were fitted before

    members, n, _ = logs.shape
    equal = np.full(members, 1.0 / members)
    if not n:
        return equal
    own = logs[:, np.arange(n), labels]  # [members, n]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = log_softmax(np.tensordot(weights, logs, 1))
        value = -(mixed[np.arange(n), labels]).mean() + pull * ((weights - equal) ** 2).sum()
        expected = np.einsum("nc,mnc->mn", np.exp(mixed), logs)
        return float(value), (expected - own).mean(axis=1) + 2 * pull * (weights - equal)

    found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * members)
    return np.asarray(found.x)


def pays(
    logs: Float[np.ndarray, "members n classes"],
    labels: Int[np.ndarray, " n"],
    rows: Int[np.ndarray, " n"],
    pull: float,
) -> bool:
    """Whether the last member lowers the log loss by more than two standard errors of what it saves, over rows.

    Weights are fitted with it and without it on the same rows, so that a useless member saves next to nothing.

    Args:
        logs, labels, pull: as of ``fit_weights``.
        rows: whose they are: one row under several conditions counts as one.
    """
    saved = _losses(logs[:-1], labels, pull) - _losses(logs, labels, pull)
    _, code, times = np.unique(rows, return_inverse=True, return_counts=True)
    each = np.bincount(code, saved) / times
    return len(each) > 1 and bool(each.mean() > 2 * each.std(ddof=1) / np.sqrt(len(each)))


def _losses(logs: np.ndarray, labels: np.ndarray, pull: float) -> np.ndarray:
    """Log loss of every row with the weights that are best for all of them."""
    mixed = log_softmax(np.tensordot(fit_weights(logs, labels, pull), logs, 1))
    return np.asarray(-mixed[np.arange(len(labels)), labels])
