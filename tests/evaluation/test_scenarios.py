"""Scores at a rate of missingness against masks that are drawn one by one."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from ramer.config import Evaluate, MissingRates
from ramer.evaluation.bootstrap import Bootstrap
from ramer.evaluation.count_metrics import COUNT_METRICS
from ramer.evaluation.predictions import score_predictions
from ramer.evaluation.scenarios import AREA, scenarios
from ramer.modalities import CONDITIONS, FULL_CONDITION, condition_masks, condition_probabilities
from tests.support.predicted import NAMES, table_of

RATES = (0.2, 0.5, 0.9)


def drawn_conditions(rng: np.random.Generator, rates: tuple[float, ...], rows: int) -> np.ndarray:
    """Masks as an experimenter would draw them: each modality by itself, again where none is left."""
    kept = rng.random((rows, 3)) >= np.array(rates)
    while (nothing := ~kept.any(axis=1)).any():
        kept[nothing] = rng.random((int(nothing.sum()), 3)) >= np.array(rates)
    codes = condition_masks() @ np.array([1, 2, 4])
    return np.array([int(np.flatnonzero(codes == code)[0]) for code in kept @ np.array([1, 2, 4])])


def simulated(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Labels [rows] and predictions [1, 7, rows] that are right more often the more is available."""
    rng = np.random.default_rng(1)
    labels = rng.choice(3, size=rows, p=[0.6, 0.3, 0.1])
    right = rng.random((1, 7, rows)) < 0.3 + 0.2 * condition_masks().sum(axis=1)[None, :, None]
    return labels, np.where(right, labels, rng.integers(0, 3, size=(1, 7, rows)))


@pytest.mark.parametrize("rates", [(0.1, 0.1, 0.1), (0.5, 0.5, 0.5), (0.9, 0.9, 0.9), (0.9, 0.1, 0.4)])
def test_probabilities_are_those_of_drawn_masks(rates: tuple[float, ...]) -> None:
    drawn = drawn_conditions(np.random.default_rng(0), rates, 40_000)
    shares = np.bincount(drawn, minlength=7) / len(drawn)
    np.testing.assert_allclose(condition_probabilities(rates), shares, atol=0.01)


def test_nothing_missing_is_the_full_condition() -> None:
    expected = [c == FULL_CONDITION for c in CONDITIONS]
    np.testing.assert_array_equal(condition_probabilities((0.0, 0.0, 0.0)), expected)


def test_scores_are_those_of_many_drawn_masks() -> None:
    labels, predicted = simulated()
    table = table_of(predicted, labels, np.zeros(len(labels), dtype=np.int64))
    for name in NAMES:
        table[f"p/{name}"] = 1 / 3
    config = Evaluate(missing_rates=RATES, imbalanced_rates={"text": MissingRates(audio=0.1, video=0.2, text=0.9)})
    scores = score_predictions(table, NAMES, 15, scenarios(config))
    rng = np.random.default_rng(2)
    for key, rates in (("random_0.2", (0.2,) * 3), ("random_0.9", (0.9,) * 3), ("imbalanced_text", (0.1, 0.2, 0.9))):
        copies = 300
        drawn = drawn_conditions(rng, rates, copies * len(labels))
        guesses = predicted[0][drawn, np.tile(np.arange(len(labels)), copies)]
        expected = f1_score(np.tile(labels, copies), guesses, average="weighted")
        assert scores[f"{key}/weighted_f1"] == pytest.approx(expected, abs=0.003)


def test_the_area_is_the_mean_height_of_the_curve() -> None:
    labels, predicted = simulated()
    table = table_of(predicted, labels, np.zeros(len(labels), dtype=np.int64))
    for name in NAMES:
        table[f"p/{name}"] = 1 / 3
    scores = score_predictions(table, NAMES, 15, scenarios(Evaluate(missing_rates=RATES)))
    curve = [scores[f"random_{rate}/weighted_f1"] for rate in RATES]
    assert scores[f"{AREA}/weighted_f1"] == pytest.approx(np.trapezoid(curve, RATES) / (RATES[-1] - RATES[0]))
    assert curve == sorted(curve, reverse=True)


def test_one_rate_has_a_score_but_no_area() -> None:
    assert [s.name for s in scenarios(Evaluate(missing_rates=(0.5,), imbalanced_rates={}))] == ["random_0.5"]
    assert scenarios(Evaluate(missing_rates=(), imbalanced_rates={})) == []


def test_the_bootstrap_compares_the_area_with_the_same_draws() -> None:
    labels, predicted = simulated()
    folds = np.zeros(len(labels), dtype=np.int64)
    better = np.where(np.random.default_rng(3).random(predicted.shape) < 0.3, labels, predicted)
    tables = {"base": table_of(predicted, labels, folds), "better": table_of(better, labels, folds)}
    ways = scenarios(Evaluate())
    bootstrap = Bootstrap(tables, {}, NAMES, draws=300, scenarios=ways)
    found = {c.condition: c for c in bootstrap.compare("base") if c.metric == "weighted_f1"}
    assert set(found) == {*CONDITIONS, "avg6", *(s.name for s in ways)}
    area = found[AREA]
    assert 0 < area.low < area.difference < area.high
    scores = {}
    for name, table in tables.items():
        for label in NAMES:
            table[f"p/{label}"] = 1 / 3
        scores[name] = score_predictions(table, NAMES, 15, ways)[f"{AREA}/weighted_f1"]
    assert area.difference == pytest.approx(scores["better"] - scores["base"], abs=1e-6)


def test_metrics_of_counts_alone_are_scored() -> None:
    assert set(COUNT_METRICS) == {"weighted_f1", "uar"}
