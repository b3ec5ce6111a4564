"""The logistic regression on a modality's standardised vectors: what its encoder starts from and is held against."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ramer.evaluation.metrics import weighted_f1
from ramer.training.softmax import log_softmax

MAX_ITERATIONS = 1000
SLACK = 0.05  # nats of log loss that a penalty may lose to the best


@dataclass(frozen=True)
class Regression:
    """A multinomial logistic regression.

    Attributes:
        weight: float64 [dim, classes].
        bias: float64 [classes].
        inverse_penalty: scikit-learn's C.
    """

    weight: np.ndarray
    bias: np.ndarray
    inverse_penalty: float

    def logits(self, x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return np.asarray(x @ self.weight + self.bias)


class Scores(NamedTuple):
    """How a classifier does on labelled rows.

    Attributes:
        log_loss: mean, in nats.
        weighted_f1: of the most probable class.
    """

    log_loss: float
    weighted_f1: float


def fit_regression(
    x: Float[np.ndarray, "n dim"],
    labels: Int[np.ndarray, " n"],
    classes: int,
    held_out: tuple[Float[np.ndarray, "m dim"], Int[np.ndarray, " m"]],
    inverse_penalties: Sequence[float],
) -> Regression:
    """The regression with the best weighted F1 on held-out rows among those whose log loss there is about the least.

    Log loss alone would let a weak modality say the most frequent class of every row; weighted F1 alone is a matter of
    chance on few rows. Penalties are tried from the strongest on, each from where the last one ended, until the log
    loss has risen by ``SLACK``: with weaker ones it only rises further, and they take longest.

    A class without rows gets no weights, and the probability of half a row; a single class needs no weights at all.

    Args:
        x: standardised vectors. labels: their class numbers.
        classes: how many there are, with and without rows.
        held_out: vectors and labels of the validation rows.
        inverse_penalties: scikit-learn's C, any order.
    """
    if len(np.unique(labels)) == 1:
        return _prior(x.shape[1], labels, classes)
    tried: list[tuple[Scores, Regression]] = []
    least = np.inf
    for regression in _path(x, labels, classes, sorted(inverse_penalties)):
        scores = score(regression.logits(held_out[0]), held_out[1])
        tried.append((scores, regression))
        least = min(least, scores.log_loss)
        if scores.log_loss > least + SLACK:
            break
    good = [(scores, regression) for scores, regression in tried if scores.log_loss <= least + SLACK]
    return max(good, key=lambda pair: (pair[0].weighted_f1, -pair[0].log_loss))[1]


def score(logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]) -> Scores:
    """Log loss and weighted F1 of logits [n, classes] on labels [n]."""
    log_loss = -log_softmax(logits.astype(np.float64))[np.arange(len(labels)), labels].mean()
    return Scores(float(log_loss), weighted_f1(labels, logits.argmax(axis=1)))


def _path(x: np.ndarray, labels: np.ndarray, classes: int, inverse_penalties: Sequence[float]) -> Iterator[Regression]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True)
    for inverse_penalty in inverse_penalties:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last step is a classifier like any other
            model.set_params(C=inverse_penalty).fit(x, labels)
        yield _of_all_classes(model.classes_, *per_class(model.coef_, model.intercept_), x, classes, inverse_penalty)


def per_class(coefficients: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's weights as [dim, classes] and [classes]; it keeps one row for two classes."""
    if len(intercept) == 1:
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        intercept = np.concatenate([-intercept / 2, intercept / 2])
    return coefficients.T, intercept


def _of_all_classes(
    present: np.ndarray, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, classes: int, inverse_penalty: float
) -> Regression:
    whole = np.zeros((x.shape[1], classes)), np.zeros(classes)
    whole[0][:, present], whole[1][present] = weight, bias
    absent = np.setdiff1d(np.arange(classes), present)
    if len(absent):
        from scipy.special import logsumexp  # here, for the stages that do without SciPy

        whole[1][absent] = logsumexp(x @ weight + bias, axis=1).mean() - np.log(2 * len(x))
    return Regression(*whole, inverse_penalty)


def _prior(dim: int, labels: np.ndarray, classes: int) -> Regression:
    counts = np.bincount(labels, minlength=classes)
    return Regression(np.zeros((dim, classes)), np.log(np.maximum(counts, 0.5)), 0.0)
