"""The regression against scikit-learn's, and where there is little to fit it on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss

from ramer.training.regression import SLACK, Regression, fit_regression, score

GRID = (0.001, 0.01, 0.1, 1.0)


def rows(count: int, classes: int, dim: int = 12, noise: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    labels = np.arange(count) % classes
    centres = np.random.default_rng(classes).normal(size=(classes, dim))
    return (centres[labels] + rng.normal(scale=noise, size=(count, dim))).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 5])
def test_it_is_scikit_learns_with_the_best_penalty(classes: int) -> None:
    x, labels = rows(200, classes)
    held, wanted = rows(90, classes)
    got = fit_regression(x, labels, classes, (held, wanted), GRID)
    models = {c: LogisticRegression(C=c, max_iter=1000, tol=1e-8).fit(x.astype(np.float64), labels) for c in GRID}
    losses = {c: log_loss(wanted, model.predict_proba(held)) for c, model in models.items()}
    scores = {c: f1_score(wanted, model.predict(held), average="weighted") for c, model in models.items()}
    good = [c for c in GRID if losses[c] <= min(losses.values()) + SLACK]
    assert got.inverse_penalty == max(good, key=lambda c: (scores[c], -losses[c]))
    expected = models[got.inverse_penalty].predict_proba(held)
    np.testing.assert_allclose(softmax(got.logits(held), axis=1), expected, atol=2e-3)


def test_scores_are_those_of_scikit_learn() -> None:
    x, labels = rows(200, 5)
    regression = fit_regression(x, labels, 5, rows(90, 5), GRID)
    got = score(regression.logits(x), labels)
    proba = softmax(regression.logits(x).astype(np.float64), axis=1)
    assert got.log_loss == pytest.approx(log_loss(labels, proba))
    assert got.weighted_f1 == pytest.approx(f1_score(labels, proba.argmax(axis=1), average="weighted"))


def test_a_class_without_rows_is_possible_and_rare() -> None:
    x, labels = rows(100, 4)
    seen = labels != 2
    regression = fit_regression(x[seen], labels[seen], 4, rows(40, 4), GRID)
    proba = softmax(regression.logits(x), axis=1)
    assert 0 < proba[:, 2].mean() < 0.05
    assert set(proba.argmax(axis=1)) <= {0, 1, 3}
    assert np.isfinite(score(regression.logits(x), labels).log_loss)


def test_a_single_class_gives_the_prior() -> None:
    x, _ = rows(20, 4)
    regression = fit_regression(x, np.full(20, 3), 4, rows(8, 4), GRID)
    assert not regression.weight.any()
    np.testing.assert_allclose(softmax(regression.logits(x[:1]), axis=1)[0], np.array([0.5, 0.5, 0.5, 20]) / 21.5)


@pytest.mark.parametrize(("count", "dim"), [(30, 1024), (7, 3)])
def test_more_dimensions_than_rows_and_one_held_out_row(count: int, dim: int) -> None:
    x, labels = rows(count, 3, dim)
    regression = fit_regression(x, labels, 3, (x[:1], labels[:1]), GRID)
    assert isinstance(regression, Regression)
    assert np.isfinite(regression.logits(x)).all()


def test_a_weak_modality_does_not_say_the_most_frequent_class_of_every_row() -> None:
    """Nothing to learn but a trace: the strongest penalty has the least log loss, and predicts one class alone."""
    rng = np.random.default_rng(3)
    labels = (rng.random(400) < 0.6).astype(np.int64)
    x = (rng.normal(size=(400, 30)) + 0.12 * labels[:, None]).astype(np.float32)
    regression = fit_regression(x[:200], labels[:200], 2, (x[200:], labels[200:]), (1e-6, 0.001, 0.01, 0.1))
    assert len(np.unique(regression.logits(x[200:]).argmax(axis=1))) == 2
