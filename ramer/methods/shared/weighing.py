"""Weights of a logarithmic opinion pool, fitted on validation rows and held near equality; whether they are chance."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from ramer.training.softmax import log_softmax


def fit_weights(
    logs: Float[np.ndarray, "members n classes"],
    labels: Int[np.ndarray, " n"],
    pull: float,
    least: Float[np.ndarray, " members"] | None = None,
) -> Float[np.ndarray, " members"]:
    """Non-negative weights with the least log loss + pull * |w - 1 / members|^2.

    They need not sum to one: the sum is the pool's temperature.

    Args:
        logs: log probabilities of calibrated members.
        labels: class numbers.
        pull: towards equal weights; few rows cannot move far from them.
        least: weight of each member; None: 0.
    """
    from scipy.optimize import minimize  # here, for those who read weights that were fitted before

    members, n, _ = logs.shape
    equal, bounds = np.full(members, 1.0 / members), np.zeros(members) if least is None else least
    if not n:
        return equal
    own = logs[:, np.arange(n), labels]  # [members, n]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = log_softmax(np.tensordot(weights, logs, 1))
        value = -(mixed[np.arange(n), labels]).mean() + pull * ((weights - equal) ** 2).sum()
        expected = np.einsum("nc,mnc->mn", np.exp(mixed), logs)
        return float(value), (expected - own).mean(axis=1) + 2 * pull * (weights - equal)

    found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=[(bound, None) for bound in bounds])
    return np.asarray(found.x)


def pays(
    logs: Float[np.ndarray, "members n classes"],
    labels: Int[np.ndarray, " n"],
    rows: Int[np.ndarray, " n"],
    pull: float,
    member: int,
) -> bool:
    """Whether a member lowers the log loss by more than two standard errors of what it saves, over rows.

    Weights are fitted with it and without it on the same rows, so that a useless member saves next to nothing.

    Args:
        logs, labels, pull: as of ``fit_weights``.
        rows: whose they are: one row under several conditions counts as one.
        member: its position.
    """
    without, complete = fit_weights(np.delete(logs, member, axis=0), labels, pull), fit_weights(logs, labels, pull)
    mean, error = _saving(np.insert(without, member, 0.0), complete, logs, labels, rows)
    return mean > 2 * error


def reliability(
    plain: Float[np.ndarray, " members"],
    weights: Float[np.ndarray, " members"],
    logs: Float[np.ndarray, "members n classes"],
    labels: Int[np.ndarray, " n"],
    rows: Int[np.ndarray, " n"],
) -> float:
    """How far to go from plain weights to fitted ones: 1 - (standard error / saving of log loss)^2, at least 0.

    The share of a squared mean that is more than its noise, as empirical Bayes shrinks estimates (Efron and Morris,
    "Stein's Estimation Rule and Its Competitors", 1973): what is saved many times over is kept, what chance could have
    saved is not.

    Args:
        plain: weights that need no trust. weights: the fitted ones.
        logs, labels: as of ``fit_weights``.
        rows: whose they are: one row under several conditions counts as one.
    """
    mean, error = _saving(plain, weights, logs, labels, rows)
    return max(0.0, 1.0 - (error / mean) ** 2) if mean > 0 else 0.0


def _saving(
    plain: np.ndarray, weights: np.ndarray, logs: np.ndarray, labels: np.ndarray, rows: np.ndarray
) -> tuple[float, float]:
    """By how much weights lower the log loss of plain ones: mean over rows and its standard error."""
    saved = _losses(plain, logs, labels) - _losses(weights, logs, labels)
    _, code, times = np.unique(rows, return_inverse=True, return_counts=True)
    each = np.bincount(code, saved) / times
    if len(each) < 2:
        return 0.0, 0.0
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def _losses(weights: np.ndarray, logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log loss of every row."""
    mixed = log_softmax(np.tensordot(weights, logs, 1))
    return np.asarray(-mixed[np.arange(len(labels)), labels])
