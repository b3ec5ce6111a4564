"""Lists to stand-ins, compared with one plain loop over rows for every combination of rules."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramer.errors import RetrievalError
from ramer.modalities import MODALITIES
from ramer.retrieval import candidates as candidates_module
from ramer.retrieval.aggregation import Retrieved, aggregate, find
from ramer.retrieval.candidates import ScoreCalibration, combine, own_scores
from ramer.retrieval.structures import Database, Lists, Queries, Rules
from tests.support.neighbour_cases import HIDDEN, Case, cosine, make_case


def stand_ins(
    lists: Lists, queries: Queries, database: Database, rules: Rules, calibration: ScoreCalibration | None = None
) -> Retrieved:
    return aggregate(find(lists, queries, database, rules, calibration), database, rules)


def one_row(case: Case, q: int, rules: Rules, calibration: ScoreCalibration) -> tuple[Any, ...]:
    """Per target: neighbour rows, weights and the stand-in of query ``q``."""
    lists, queries, database = case
    names = [m for i, m in enumerate(MODALITIES) if queries.available[q, i]]
    length = {
        m: 1.0 if rules.normalize_query else float(np.linalg.norm(queries.states[m][q].astype(np.float64)))
        for m in names
    }
    own = {
        m: [(int(r), float(s) * length[m]) for r, s in zip(lists.rows[m][q], lists.scores[m][q], strict=True) if r >= 0]
        for m in names
    }
    merged: dict[int, float] = {}
    if len(names) == 1:
        merged = dict(own[names[0]])
    elif len(names) == 2 and rules.bimodal == "kth_score":
        place = rules.k + rules.drop_first - 1
        kth = [own[m][place][1] if len(own[m]) > place else -np.inf for m in names]
        second = kth[1] > kth[0] or (kth[0] == kth[1] == -np.inf and len(own[names[1]]) > len(own[names[0]]))
        merged = dict(own[names[int(second)]])
    elif len(names) == 2 and rules.bimodal == "calibrated":
        for m in names:
            for row, score in own[m]:
                quantile = float(np.mean(calibration.sorted_scores[m] <= score + 1e-9))
                merged[row] = max(merged.get(row, -np.inf), quantile)
    elif len(names) == 2:
        for row in {r for m in names for r, _ in own[m]}:
            held = [m for m in names if database.available[row, MODALITIES.index(m)]]
            merged[row] = float(
                np.mean([cosine(queries.states[m][q], database.states[m][row]) * length[m] for m in held])
            )
    ordered = sorted(merged.items(), key=lambda item: (-item[1], item[0]))[int(rules.drop_first) :]
    out = []
    for i, m in enumerate(MODALITIES):
        targeted = [(r, s) for r, s in ordered if database.available[r, i] and not queries.available[q, i]]
        near = targeted[: rules.k]
        scores = np.array([s for _, s in near])
        if rules.aggregate == "similarity" and near:
            weights = np.exp(scores / rules.tau - (scores / rules.tau).max())
            weights /= weights.sum()
        else:
            weights = np.full(len(near), 1.0 if rules.aggregate == "sum" else 1.0 / max(len(near), 1))
        state = np.zeros(HIDDEN[m])
        for (row, _), weight in zip(near, weights, strict=True):
            value = database.states[m][row].astype(np.float64)
            state += weight * (value / np.linalg.norm(value) if rules.normalize_values else value)
        if near:
            state = state / np.linalg.norm(state)
        out.append(([r for r, _ in near], weights, state))
    return tuple(out)


def assert_equals_loop(case: Case, rules: Rules) -> None:
    scaled = own_scores(case.lists, case.queries, rules)
    calibration = ScoreCalibration.fit(scaled)
    got = stand_ins(*case, rules, calibration)
    for q in range(len(case.queries.available)):
        for i, (rows, weights, state) in enumerate(one_row(case, q, rules, calibration)):
            assert [r for r in got.selected.rows[q, i] if r >= 0] == rows
            assert got.retrieved[q, i] == bool(rows)
            np.testing.assert_allclose(got.weights[q, i, : len(rows)], weights, atol=1e-4)
            assert (got.weights[q, i, len(rows) :] == 0).all()
            np.testing.assert_allclose(got.states[MODALITIES[i]][q], state, atol=2e-4, rtol=1e-3)


ALL_RULES = [
    Rules(3, aggregate, bimodal, drop, query, values)  # type: ignore[arg-type]
    for aggregate, bimodal, drop, query, values in product(
        ("similarity", "mean", "sum"),
        ("pooled", "kth_score", "calibrated"),
        (False, True),
        (True, False),
        (True, False),
    )
]


@pytest.mark.parametrize("rules", ALL_RULES, ids=str)
def test_every_combination_of_rules_equals_a_plain_loop(rules: Rules) -> None:
    for seed in range(3):
        assert_equals_loop(make_case(seed), rules)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 12),
    k=st.integers(1, 12),
    missing=st.sampled_from([0.0, 0.3, 0.9]),
    drop_first=st.booleans(),
    bimodal=st.sampled_from(["pooled", "kth_score"]),
)
def test_padding_and_natural_missingness_equal_a_plain_loop(
    seed: int, width: int, k: int, missing: float, drop_first: bool, bimodal: Any
) -> None:
    assert_equals_loop(make_case(seed, width=width, missing=missing), Rules(k, bimodal=bimodal, drop_first=drop_first))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(1, n=40)
    whole = stand_ins(*case, Rules())
    monkeypatch.setattr(candidates_module, "CHUNK_FLOATS", 50)
    again = stand_ins(*case, Rules())
    assert np.array_equal(whole.selected.rows, again.selected.rows)
    for m in MODALITIES:
        np.testing.assert_allclose(whole.states[m], again.states[m], atol=1e-6)


def test_a_row_with_everything_or_nothing_retrieves_nothing() -> None:
    case = make_case(2)
    for filled in (True, False):
        queries = Queries(case.queries.states, np.full_like(case.queries.available, filled))
        got = stand_ins(case.lists, queries, case.database, Rules())
        assert not got.retrieved.any()
        assert not any(state.any() for state in got.states.values())


def test_only_what_is_missing_is_retrieved_and_only_from_rows_that_hold_it() -> None:
    for seed in range(5):
        case = make_case(seed)
        selected = find(*case, Rules())
        query, target, place = np.nonzero(selected.rows >= 0)
        assert not case.queries.available[query, target].any()
        assert case.database.available[selected.rows[query, target, place], target].all()


def test_rows_outside_the_database_that_a_list_might_name_are_never_used() -> None:
    case = make_case(3)
    rows = {m: np.where(r >= 0, 24, r) for m, r in case.lists.rows.items()}  # 24 holds nothing: not in the database
    assert not find(Lists(rows, case.lists.scores), case.queries, case.database, Rules()).retrieved.any()


def test_masked_query_states_and_lists_are_never_read() -> None:
    case = make_case(4)
    poisoned_lists: dict[str, dict[str, np.ndarray]] = {"rows": {}, "scores": {}}
    poisoned_states = {}
    for i, m in enumerate(MODALITIES):
        masked = ~case.queries.available[:, i, None]
        poisoned_lists["rows"][m] = np.where(masked, 0, case.lists.rows[m])
        poisoned_lists["scores"][m] = np.where(masked, np.float32(1e9), case.lists.scores[m])
        poisoned_states[m] = np.where(masked, np.float32(1e9), case.queries.states[m])
    for rules in (Rules(), Rules(bimodal="kth_score", normalize_query=False)):
        clean = stand_ins(*case, rules)
        poisoned = stand_ins(
            Lists(**poisoned_lists), Queries(poisoned_states, case.queries.available), case.database, rules
        )
        assert np.array_equal(clean.selected.rows, poisoned.selected.rows)
        assert all(np.array_equal(clean.states[m], poisoned.states[m]) for m in MODALITIES)


def test_an_unnormalised_query_changes_which_space_the_published_rule_uses() -> None:
    states = {m: np.eye(3, dtype=np.float32) for m in MODALITIES}
    database = Database(states, np.ones((3, 3), dtype=bool), np.zeros(3, dtype=np.int64))
    lists = Lists(
        {m: np.array([[row]]) for m, row in zip(MODALITIES, (0, 1, -1), strict=True)},
        {m: np.array([[score]]) for m, score in zip(MODALITIES, (0.9, 0.5, np.nan), strict=True)},
    )
    asked = {
        "audio": np.array([[1.0, 0.0, 0.0]]),
        "video": np.array([[0.0, 3.0, 0.0]]),
        "text": np.full((1, 3), np.nan),
    }
    queries = Queries(asked, np.array([[True, True, False]]))
    published = Rules(1, bimodal="kth_score", normalize_query=False)
    assert combine(lists, queries, database, published).rows[0, 0] == 1  # 0.5 x 3 beats 0.9 x 1
    assert combine(lists, queries, database, replace(published, normalize_query=True)).rows[0, 0] == 0


def test_a_small_temperature_takes_the_nearest_and_a_large_one_the_mean() -> None:
    case = make_case(5)
    nearest = stand_ins(*case, Rules(tau=1e-6))
    single = stand_ins(*case, Rules(k=1))
    even = stand_ins(*case, Rules(tau=1e6))
    mean = stand_ins(*case, Rules(aggregate="mean"))
    for m in MODALITIES:
        np.testing.assert_allclose(nearest.states[m], single.states[m], atol=1e-4)
        np.testing.assert_allclose(even.states[m], mean.states[m], atol=1e-4)


def test_calibrated_without_a_calibration_is_refused() -> None:
    with pytest.raises(RetrievalError, match="bimodal: calibrated: expected a calibration"):
        combine(*make_case(0), Rules(bimodal="calibrated"))


def test_a_quantile_is_the_share_of_validation_scores_at_or_below() -> None:
    scores = {"audio": np.array([[0.1, 0.2], [0.4, np.nan]])}
    calibration = ScoreCalibration.fit(Lists({"audio": np.zeros((2, 2), dtype=np.int32)}, scores))
    got = calibration.quantiles("audio", np.array([[0.0, 0.2, 0.3, 9.0, np.nan]]))
    np.testing.assert_allclose(got, [[0, 2 / 3, 2 / 3, 1, np.nan]])


def test_a_corpus_without_text_retrieves_no_text() -> None:
    case = make_case(6)
    states = case.database.states | {"text": np.zeros((25, 0), dtype=np.float32)}
    held = case.database.available & [True, True, False]
    asked = case.queries.states | {"text": np.zeros((14, 0), dtype=np.float32)}
    queries = Queries(asked, case.queries.available & [True, True, False])
    got = stand_ins(case.lists, queries, Database(states, held, case.database.labels), Rules())
    assert got.states["text"].shape == (14, 0)
    assert not got.retrieved[:, 2].any()
    assert got.retrieved[:, :2].any()
