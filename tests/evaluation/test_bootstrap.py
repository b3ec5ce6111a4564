"""The bootstrap against simulations whose truth is known, plain loops and examples by hand."""

import time

import numpy as np
import pandas as pd
import pytest

from ramer.config import Evaluate
from ramer.errors import RamerError
from ramer.evaluation.bootstrap import Bootstrap, Counts, count_table, draw_weights, holm, p_value, score_draws
from ramer.evaluation.clusters import Clusters, find_clusters
from ramer.evaluation.reference import choose_reference
from ramer.evaluation.scenarios import scenarios
from ramer.modalities import CONDITIONS, MISSING_CONDITIONS
from ramer.training.method_record import ScoredMethod
from tests.support.predicted import NAMES, table_of


def simulate(
    rng: np.random.Generator, skill: float, *, speakers: int, per: int, seeds: int, wobble: float = 0.8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two methods that differ by speaker and by row in the same way for every seed; ``skill`` favours the first.

    Returns labels [rows], right-or-wrong predicted classes of both [2, seeds, 7, rows] and speakers [rows].
    """
    rows = speakers * per
    labels = rng.integers(0, 3, size=rows)
    speaker = np.repeat(np.arange(speakers), per)
    taste = rng.normal(scale=wobble, size=(2, 1, 1, speakers))[..., speaker]
    row_luck = rng.normal(scale=1.0, size=(2, 1, 7, rows))
    seed_luck = rng.normal(scale=0.5, size=(2, seeds, 7, rows))
    logit = 0.5 + taste + row_luck + seed_luck + np.array([skill, 0.0])[:, None, None, None]
    wrong = (labels + rng.integers(1, 3, size=(2, seeds, 7, rows))) % 3
    return labels, np.where(logit > 0, labels, wrong), speaker


def counts_of(predicted: np.ndarray, labels: np.ndarray, speakers: int) -> Counts:
    """Counts straight from arrays, predicted [seeds, 7, rows]; each speaker's rows lie together."""
    true_hot, predicted_hot = np.eye(3)[labels], np.eye(3)[predicted]

    def by_speaker(hot: np.ndarray) -> np.ndarray:
        summed = hot.reshape(*hot.shape[:2], speakers, -1, 3).sum(axis=3)
        return np.ascontiguousarray(np.moveaxis(summed, 2, 0))

    truth = np.broadcast_to(true_hot, predicted_hot.shape)
    return Counts(by_speaker(predicted_hot * truth), by_speaker(predicted_hot), by_speaker(truth))


def as_one_seed(predicted: np.ndarray, labels: np.ndarray, speakers: int) -> Counts:
    """The wrong way: every seed's rows as if they were other rows of other speakers."""
    seeds = len(predicted)
    stacked = np.concatenate(list(predicted), axis=-1)[None]
    return counts_of(stacked, np.tile(labels, seeds), speakers * seeds)


def p_of(first: Counts, second: Counts, seed: int) -> float:
    rng = np.random.default_rng(seed)
    weights = draw_weights(np.zeros(len(first.hits), dtype=np.int64), 400, rng)
    a, b = (score_draws(c, weights, ["weighted_f1"])["weighted_f1"][:, -1] for c in (first, second))
    return p_value(a - b)


@pytest.mark.slow
def test_false_alarms_are_about_five_per_cent_and_far_more_if_seeds_count_as_independent() -> None:
    rng = np.random.default_rng(0)
    honest: list[float] = []
    naive: list[float] = []
    for trial in range(500):
        labels, predicted, _ = simulate(rng, 0.0, speakers=40, per=6, seeds=3)
        for found, count in ((honest, counts_of), (naive, as_one_seed)):
            found.append(p_of(count(predicted[0], labels, 40), count(predicted[1], labels, 40), trial))
    assert 0.025 <= np.mean(np.array(honest) < 0.05) <= 0.085
    assert np.mean(np.array(naive) < 0.05) > 0.18


def test_a_real_difference_is_found_and_its_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(1)
    labels, predicted, speaker = simulate(rng, 1.0, speakers=40, per=10, seeds=3, wobble=0.3)
    folds = np.zeros(len(labels), dtype=np.int64)
    tables = {"good": table_of(predicted[0], labels, folds), "base": table_of(predicted[1], labels, folds)}
    groups = {f"clip{i:04}": f"s{s}" for i, s in enumerate(speaker)}
    found = Bootstrap(tables, groups, NAMES, draws=500).compare("base", [("weighted_f1", "avg6")])[0]
    assert found.method == "good"
    assert found.reference == "base"
    assert 0 < found.low < found.difference < found.high
    assert found.p < 0.01


def test_scores_of_draws_equal_a_loop_over_resampled_rows() -> None:
    rng = np.random.default_rng(2)
    labels, predicted, speaker = simulate(rng, 0.3, speakers=12, per=5, seeds=2)
    folds = (speaker >= 6).astype(np.int64)
    table = table_of(predicted[0], labels, folds)
    groups = {f"clip{i:04}": f"s{s:02}" for i, s in enumerate(speaker)}
    clusters = find_clusters(table, groups)
    counts = count_table(table, clusters, NAMES)
    weights = draw_weights(clusters.folds, 6, np.random.default_rng(3))
    drawn = score_draws(counts, weights, ["weighted_f1", "uar"])
    cluster = table["id"].map(clusters.of_row).to_numpy()
    for d in range(6):
        repeated = table.loc[table.index.repeat(weights[d][cluster].astype(int))]
        for metric in ("weighted_f1", "uar"):
            expected = [mean_over_seeds(repeated, condition, metric) for condition in CONDITIONS]
            np.testing.assert_allclose(drawn[metric][d, :7], expected, rtol=1e-5)
            six = np.mean([e for c, e in zip(CONDITIONS, expected, strict=True) if c in MISSING_CONDITIONS])
            assert drawn[metric][d, 7] == pytest.approx(six, rel=1e-5)


def mean_over_seeds(rows: pd.DataFrame, condition: str, metric: str) -> float:
    from sklearn.metrics import f1_score, recall_score

    rows = rows[rows["condition"] == condition]
    score = {
        "weighted_f1": lambda g: f1_score(g["label"], g["predicted"], average="weighted"),
        "uar": lambda g: recall_score(g["label"], g["predicted"], labels=g["label"].unique(), average="macro"),
    }[metric]
    return float(np.mean([score(g) for _, g in rows.groupby("seed")]))


def test_a_speaker_is_drawn_whole_and_every_fold_keeps_its_number_of_speakers() -> None:
    folds = np.array([0] * 5 + [1] * 8)
    weights = draw_weights(folds, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(weights[:, :5].sum(axis=1), np.full(50, 5))
    np.testing.assert_array_equal(weights[:, 5:].sum(axis=1), np.full(50, 8))
    rows = pd.DataFrame({"id": ["a1", "a2", "b1"], "fold": [0, 0, 0]})
    groups = {"a1": "a", "a2": "a", **{f"x{i}": f"x{i}" for i in range(9)}, "b1": "b"}
    rows = pd.concat([rows, pd.DataFrame({"id": [f"x{i}" for i in range(9)], "fold": 0})])
    clusters = find_clusters(rows, groups)
    assert clusters.size == 11
    assert clusters.of_row["a1"] == clusters.of_row["a2"] != clusters.of_row["b1"]
    assert clusters.unit == "speaker"
    assert clusters.notes == ()


def test_fewer_than_ten_speakers_resample_rows_and_say_so() -> None:
    rows = pd.DataFrame({"id": [f"r{i}" for i in range(40)], "fold": 0})
    clusters = find_clusters(rows, {f"r{i}": f"s{i % 9}" for i in range(40)}, "dialogue")
    assert clusters.size == 40
    assert clusters.unit == "row"
    assert "only 9 dialogues" in clusters.notes[0]


def test_rows_without_a_speaker_are_clusters_of_their_own() -> None:
    rows = pd.DataFrame({"id": [f"r{i}" for i in range(20)], "fold": 0})
    unnamed = find_clusters(rows, {f"r{i}": None for i in range(20)})
    assert (unnamed.size, unnamed.unit, unnamed.notes) == (20, "row", ())
    mixed = find_clusters(rows, {f"r{i}": ("s" if i < 5 else None) for i in range(20)})
    assert mixed.size == 16


def test_folds_with_one_speaker_each_are_not_strata() -> None:
    rows = pd.DataFrame({"id": [f"r{i}" for i in range(36)], "fold": np.arange(36) // 3})
    clusters: Clusters = find_clusters(rows, {f"r{i}": f"s{i // 3}" for i in range(36)})
    assert clusters.size == 12
    assert "single speaker" in clusters.notes[0]
    weights = draw_weights(clusters.folds, 100, np.random.default_rng(0))
    assert weights.std() > 0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_p_is_never_zero_never_above_one_and_one_without_a_difference() -> None:
    assert p_value(np.ones(999)) == pytest.approx(2 / 1000)
    assert p_value(np.zeros(999)) == 1.0
    half = np.r_[np.ones(90), -np.ones(9)]
    assert p_value(half) == pytest.approx(2 * 10 / 100)
    assert p_value(-half) == p_value(half)


def test_comparisons_cover_every_method_and_condition_and_holm_runs_over_methods() -> None:
    rng = np.random.default_rng(5)
    labels, predicted, speaker = simulate(rng, 0.2, speakers=15, per=4, seeds=2)
    folds = np.zeros(len(labels), dtype=np.int64)
    tables = {
        "base": table_of(predicted[1], labels, folds),
        "one": table_of(predicted[0], labels, folds),
        "twin": table_of(predicted[1], labels, folds),
    }
    groups = {f"clip{i:04}": f"s{s}" for i, s in enumerate(speaker)}
    bootstrap = Bootstrap(tables, groups, NAMES, draws=200)
    found = bootstrap.compare("base")
    assert [(c.metric, c.condition) for c in found[::2]] == list(bootstrap.families)
    assert {c.method for c in found} == {"one", "twin"}
    twin = next(c for c in found if c.method == "twin")
    assert (twin.difference, twin.low, twin.high, twin.p, twin.p_holm) == (0.0, 0.0, 0.0, 1.0, 1.0)
    for metric, condition in bootstrap.families:
        family = [c for c in found if (c.metric, c.condition) == (metric, condition)]
        assert [c.p_holm for c in family] == holm([c.p for c in family])
    again = Bootstrap(tables, groups, NAMES, draws=200).compare("base")
    assert again == found


def test_methods_scored_on_different_rows_are_refused() -> None:
    labels, predicted, _ = simulate(np.random.default_rng(0), 0.0, speakers=12, per=2, seeds=1)
    table = table_of(predicted[0], labels, np.zeros(len(labels), dtype=np.int64))
    with pytest.raises(RamerError, match="predictions of short: expected the same test rows"):
        Bootstrap({"full": table, "short": table[table["id"] != "clip0003"]}, {}, NAMES)
    with pytest.raises(RamerError, match="predictions of full: clip0000: expected one row under a with seed 0"):
        Bootstrap({"full": pd.concat([table, table[:1]])}, {}, NAMES)


def test_reference_is_the_best_deployable_method_without_retrieval() -> None:
    def entry(score: float, *, deployable: bool = True, retrieval: bool = False) -> ScoredMethod:
        return ScoredMethod(
            name="", type="", options={}, deployable=deployable, retrieval=retrieval, validation_selection=score
        )

    methods = {
        "oracle": entry(0.9, deployable=False),
        "ramer": entry(0.8, retrieval=True),
        "zero_fill": entry(0.6),
        "late_product": entry(0.7),
        "copy": entry(0.7),
    }
    assert choose_reference(methods) == "late_product"
    assert choose_reference({n: methods[n] for n in ("oracle", "ramer")}) == "ramer"
    with pytest.raises(RamerError, match="at least one method"):
        choose_reference({})


@pytest.mark.slow
def test_25_methods_on_5000_rows_and_2000_draws_take_seconds() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size=5000)
    folds = np.zeros(5000, dtype=np.int64)
    table = table_of(rng.integers(0, 3, size=(3, 7, 5000)), labels, folds)
    start = time.process_time()
    bootstrap = Bootstrap({f"m{i}": table for i in range(25)}, {}, NAMES, draws=2000, scenarios=scenarios(Evaluate()))
    found = bootstrap.compare("m0")
    assert time.process_time() - start < 60.0
    assert len(found) == 24 * len(bootstrap.families)
