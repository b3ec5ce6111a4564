"""Reranking: the figures of a candidate, their targets, and the order that a score gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import find
from ramer.retrieval.candidates import combine
from ramer.retrieval.reranking import FEATURES, describe, rerank, true_cosines
from ramer.retrieval.structures import Rules
from tests.support.neighbour_cases import Case, cosine, make_case


def described(case: Case, target: int):  # type: ignore[no-untyped-def]
    return describe(combine(*case, Rules()), case.lists, case.queries, case.database, target)


def test_figures_equal_a_plain_loop() -> None:
    case = make_case(0)
    candidates = combine(*case, Rules())
    for target, name in enumerate(MODALITIES):
        pairs = described(case, target)
        assert not case.queries.available[pairs.members, target].any()
        for q, n in enumerate(pairs.members):
            for c, row in enumerate(candidates.rows[n]):
                holds = row >= 0 and case.database.available[row, target]
                assert pairs.rows[q, c] == (row if holds else -1)
                if not holds:
                    continue
                figures, places = pairs.features[q, c], 0
                for i, m in enumerate(MODALITIES):
                    held = case.queries.available[n, i]
                    asked = case.queries.states[m][n]
                    known = held and case.database.available[row, i]
                    expected = cosine(asked, case.database.states[m][row]) if known else 0.0
                    np.testing.assert_allclose(figures[i], expected, atol=1e-5)
                    listed = case.lists.rows[m][n].tolist() if held else []
                    place = 1.0 / (1 + listed.index(row)) if row in listed else 0.0
                    np.testing.assert_allclose(figures[3 + i], place, atol=1e-6)
                    assert figures[6 + i] == held
                    places += place > 0
                assert figures[9] == (places > 1)
                np.testing.assert_allclose(figures[10], candidates.scores[n, c], atol=1e-6)
                assert figures[12:].tolist() == [float(i == target) for i in range(3)]
                assert -1.001 <= figures[11] <= 1.001
                assert len(figures) == FEATURES
        assert len(pairs.members) or case.queries.available[:, MODALITIES.index(name)].all()


def test_targets_are_cosines_with_what_is_missing() -> None:
    case = make_case(1)
    own = np.random.default_rng(9).normal(size=(14, 5)).astype(np.float32)
    known = np.arange(14) % 3 > 0
    pairs = described(case, 2)
    figures, cosines = true_cosines(pairs, own, known, case.database, "text")
    expected = [
        cosine(own[n], case.database.states["text"][row])
        for n, rows in zip(pairs.members, pairs.rows, strict=True)
        for row in rows
        if row >= 0 and known[n]
    ]
    assert len(figures) == len(expected) > 0
    np.testing.assert_allclose(cosines, expected, atol=1e-5)


def test_the_combined_score_as_learned_score_changes_nothing() -> None:
    for seed in range(4):
        case = make_case(seed)
        plain = find(*case, Rules())
        again = rerank(combine(*case, Rules()), case.lists, case.queries, case.database, lambda f: f[:, 10], 5)
        np.testing.assert_array_equal(again.rows, plain.rows)
        np.testing.assert_allclose(again.scores, plain.scores, atol=1e-6)


def test_the_learned_score_decides() -> None:
    case = make_case(2)
    candidates = combine(*case, Rules())
    worst_first = rerank(candidates, case.lists, case.queries, case.database, lambda f: -f[:, 10], 3)
    for n, target in zip(*np.nonzero(worst_first.retrieved), strict=True):
        usable = [r for r in candidates.rows[n] if r >= 0 and case.database.available[r, target]]
        assert [r for r in worst_first.rows[n, target] if r >= 0] == usable[::-1][:3]


def test_masked_states_and_lists_are_never_read() -> None:
    case = make_case(3)
    masked = ~case.queries.available
    states = {
        m: np.where(masked[:, i, None], np.float32(1e15), case.queries.states[m]) for i, m in enumerate(MODALITIES)
    }
    rows = {m: np.where(masked[:, i, None], 0, case.lists.rows[m]) for i, m in enumerate(MODALITIES)}
    poisoned = case._replace(queries=replace(case.queries, states=states), lists=replace(case.lists, rows=rows))
    for target in range(3):
        np.testing.assert_array_equal(described(poisoned, target).features, described(case, target).features)
