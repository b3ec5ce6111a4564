"""Metrics against scikit-learn, plain loops and examples worked by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)

from ramer.errors import RamerError
from ramer.evaluation import count_metrics, metrics
from ramer.evaluation.predictions import confusion_by_condition, score_predictions
from ramer.modalities import CONDITIONS, MISSING_CONDITIONS

NAMES = ("angry", "happy", "sad")


def predictions(seed: int = 0, seeds: int = 2, folds: int = 2, rows: int = 30) -> pd.DataFrame:
    """A predictions table: ``folds * rows`` test rows, seven conditions, every seed."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, size=folds * rows)
    frames = []
    for s in range(seeds):
        for condition in CONDITIONS:
            logits = rng.normal(size=(folds * rows, 3)) + 1.5 * np.eye(3)[labels]
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            frame = pd.DataFrame(p, columns=[f"p/{n}" for n in NAMES])
            frame.insert(0, "predicted", [NAMES[i] for i in p.argmax(axis=1)])
            frame.insert(0, "label", [NAMES[i] for i in labels])
            frame.insert(0, "condition", condition)
            frame.insert(0, "seed", s)
            frame.insert(0, "fold", np.arange(folds * rows) // rows)
            frame.insert(0, "id", [f"clip{i}" for i in range(folds * rows)])
            frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    table["replicate"] = [f"fold{f}_seed{s}" for f, s in zip(table["fold"], table["seed"], strict=True)]
    return table


def ece_by_loop(right: np.ndarray, confidence: np.ndarray, bins: int) -> float:
    total = 0.0
    for i in range(bins):
        inside = [j for j in range(len(right)) if i / bins < confidence[j] <= (i + 1) / bins]
        if inside:
            total += len(inside) / len(right) * abs(right[inside].mean() - confidence[inside].mean())
    return total


def test_ece_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=200)
    labels, predicted = rng.integers(0, 4, size=200), p.argmax(axis=1)
    expected = ece_by_loop(labels == predicted, p.max(axis=1), 15)
    assert metrics.ece(labels, predicted, p, 15) == pytest.approx(expected)


def test_ece_of_certain_predictions_is_the_share_of_errors() -> None:
    p = np.eye(2)[[0, 0, 1, 1]]
    assert metrics.ece(np.array([0, 1, 1, 1]), p.argmax(axis=1), p, 10) == pytest.approx(0.25)


def test_ece_refuses_nan() -> None:
    with pytest.raises(ValueError, match="finite"):
        metrics.ece(np.array([0]), np.array([0]), np.array([[np.nan, 1.0]]), 10)


def test_uar_is_balanced_accuracy_and_stays_quiet_about_a_class_that_is_only_predicted() -> None:
    labels, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    assert metrics.uar(labels, predicted) == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert metrics.uar(np.array([0, 0, 1]), np.array([0, 2, 1])) == pytest.approx(0.75)


@pytest.mark.parametrize("classes", [2, 6])
def test_scores_of_counts_equal_sklearn_on_every_table(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, size=(40, 25))
    labels[:5] = 0  # tables in which classes are absent
    predicted = rng.integers(0, classes, size=(40, 25))
    tables = np.stack([metrics.confusion(t, p, classes) for t, p in zip(labels, predicted, strict=True)]).astype(float)
    counts = np.diagonal(tables, axis1=1, axis2=2), tables.sum(axis=1), tables.sum(axis=2)
    expected_f1 = [f1_score(t, p, average="weighted") for t, p in zip(labels, predicted, strict=True)]
    expected_uar = [metrics.uar(t, p) for t, p in zip(labels, predicted, strict=True)]
    np.testing.assert_allclose(count_metrics.weighted_f1_of_counts(*counts), expected_f1)
    np.testing.assert_allclose(count_metrics.uar_of_counts(*counts), expected_uar)


def test_f1_per_class_is_zero_for_a_class_that_never_occurs() -> None:
    scores = metrics.f1_per_class(np.array([0, 1]), np.array([0, 0]), 3)
    np.testing.assert_allclose(scores, [2 / 3, 0.0, 0.0])


@pytest.mark.parametrize("as_positions", [False, True])
def test_selection_score_is_the_mean_of_seven_weighted_f1(as_positions: bool) -> None:
    rng = np.random.default_rng(1)
    labels, predicted = rng.integers(0, 4, size=350), rng.integers(0, 4, size=350)
    place = np.arange(350) % 7
    condition = place if as_positions else np.array(list(CONDITIONS))[place]
    expected = np.mean([f1_score(labels[place == i], predicted[place == i], average="weighted") for i in range(7)])
    assert metrics.selection_score(labels, predicted, condition) == pytest.approx(expected)


def test_selection_score_refuses_an_absent_and_an_unknown_condition() -> None:
    labels = np.zeros(6, dtype=np.int64)
    with pytest.raises(ValueError, match="none under avt"):
        metrics.selection_score(labels, labels, np.array(MISSING_CONDITIONS))
    with pytest.raises(ValueError, match="unknown condition 'azz'"):
        metrics.selection_score(labels[:1], labels[:1], np.array(["azz"]))
    with pytest.raises(ValueError, match="one length"):
        metrics.selection_score(labels, labels[:2], np.array(MISSING_CONDITIONS))


def test_score_predictions_scores_all_out_of_fold_rows_of_a_seed_then_means_over_seeds() -> None:
    table = predictions()
    scores = score_predictions(table, NAMES, 15)
    per_seed = []
    for seed in (0, 1):
        by_condition = {}
        for condition in CONDITIONS:
            rows = table[(table["seed"] == seed) & (table["condition"] == condition)]
            by_condition[condition] = f1_score(rows["label"], rows["predicted"], average="weighted")
        per_seed.append(by_condition)
    for condition in CONDITIONS:
        values = [scored[condition] for scored in per_seed]
        assert scores[f"{condition}/weighted_f1"] == pytest.approx(np.mean(values))
        assert scores[f"{condition}/weighted_f1_std"] == pytest.approx(np.std(values, ddof=1))
    six = [np.mean([scored[c] for c in MISSING_CONDITIONS]) for scored in per_seed]
    assert scores["avg6/weighted_f1"] == pytest.approx(np.mean(six))
    assert scores["avg6/weighted_f1_std"] == pytest.approx(np.std(six, ddof=1))
    shares = [six[i] / per_seed[i]["avt"] for i in (0, 1)]
    assert scores["retained/weighted_f1"] == pytest.approx(np.mean(shares))
    wanted = {f"{c}/{m}{s}" for c in (*CONDITIONS, "avg6") for m in metrics.METRICS for s in ("", "_std")}
    assert wanted <= set(scores)
    assert "v/f1_sad" in scores


def test_the_equity_index_by_hand() -> None:
    drops = {"a": 0.40, "v": 0.30, "t": 0.50, "av": 0.50, "at": 0.60, "vt": 0.55, "avt": 0.70}
    # audio: av - v .20, at - t .10, avt - vt .15; video: .10, .05, .10; text: .20, .25, .20
    costs = np.array([0.15, 0.25 / 3, 0.65 / 3])
    shares = costs / costs.sum()
    assert metrics.equity(drops) == pytest.approx(-(shares * np.log(shares)).sum() / np.log(3))
    # Two modalities cost alike and the third nothing: log 2 / log 3. A removal that helps is no cost.
    assert metrics.equity({c: 0.3 * len(set(c) - {"t"}) for c in CONDITIONS}) == pytest.approx(np.log(2) / np.log(3))
    helped = {c: 0.3 * len(set(c) - {"t"}) - 0.1 * ("t" in c) for c in CONDITIONS}
    assert metrics.equity(helped) == pytest.approx(np.log(2) / np.log(3))
    assert np.isnan(metrics.equity(dict.fromkeys(CONDITIONS, 0.4)))


def test_the_equity_index_is_formed_per_seed_and_undefined_where_nothing_costs() -> None:
    table = predictions()
    indexes = []
    for seed in (0, 1):
        rows = table[table["seed"] == seed].groupby("condition")
        indexes.append(
            metrics.equity({str(c): f1_score(r["label"], r["predicted"], average="weighted") for c, r in rows})
        )
    scores = score_predictions(table, NAMES, 15)
    assert scores["equity/weighted_f1"] == pytest.approx(np.mean(indexes))
    assert scores["equity/weighted_f1_std"] == pytest.approx(np.std(indexes, ddof=1))
    constant = score_predictions(table.assign(predicted=NAMES[0]), NAMES, 15)
    assert np.isnan(constant["equity/weighted_f1"])


def test_spread_of_one_seed_is_zero() -> None:
    scores = score_predictions(predictions(seeds=1), NAMES, 15)
    assert scores["avt/accuracy_std"] == 0.0


def test_confusion_sums_over_seeds_and_folds() -> None:
    table = predictions(seeds=2, folds=2, rows=30)
    matrices = confusion_by_condition(table, NAMES)
    assert matrices["labels"] == list(NAMES)
    for condition in CONDITIONS:
        assert np.sum(matrices[condition]) == 120
    rows = table[table["condition"] == "v"]
    expected = ((rows["label"] == "sad") & (rows["predicted"] == "happy")).sum()
    assert matrices["v"][2][1] == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="p/sad"), "expected the columns p/sad"),
        (lambda t: t.iloc[:0], "expected test rows"),
        (lambda t: t.assign(predicted="bored"), "row 0: predicted: expected one of angry, happy, sad, got 'bored'"),
        (lambda t: t.assign(label=None), "row 0: label"),
        (lambda t: t.assign(**{"p/sad": np.nan}), "row 0: expected finite probabilities"),
        (lambda t: t[t["condition"] != "at"], "seed 0: expected rows under all seven conditions, got 6"),
    ],
)
def test_a_table_that_cannot_be_scored_is_refused_in_one_line(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RamerError) as caught:
        score_predictions(change(predictions()), NAMES, 15)
    assert message in caught.value.faults[0]
    assert "\n" not in caught.value.faults[0]


@pytest.mark.parametrize("seed", range(8))
def test_every_score_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 8))
    labels, predicted = rng.integers(0, rng.integers(1, classes + 1), (2, int(rng.integers(1, 60))))
    every = np.arange(classes)
    assert metrics.accuracy(labels, predicted) == pytest.approx(accuracy_score(labels, predicted))
    for ours, average in ((metrics.weighted_f1, "weighted"), (metrics.macro_f1, "macro")):
        assert ours(labels, predicted) == pytest.approx(f1_score(labels, predicted, average=average, zero_division=0))
    np.testing.assert_allclose(
        metrics.f1_per_class(labels, predicted, classes),
        f1_score(labels, predicted, labels=every, average=None, zero_division=0),
    )
    np.testing.assert_array_equal(
        metrics.confusion(labels, predicted, classes), confusion_matrix(labels, predicted, labels=every)
    )
    recalls = recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
    assert metrics.uar(labels, predicted) == pytest.approx(recalls)
