"""A shuffled database: other contents behind the same neighbours, nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import aggregate, find
from ramer.retrieval.shuffle import Shuffle
from ramer.retrieval.structures import Rules
from tests.support.neighbour_cases import Case, make_case


def shuffled(case: Case) -> Case:
    database = case.database
    shuffle = Shuffle.draw("fold0_seed0", database.available, database.labels > 0)
    return case._replace(database=replace(database, shuffle=shuffle))


def test_every_row_hands_out_another_row_of_its_kind() -> None:
    rng = np.random.default_rng(0)
    available, labelled = rng.random((300, 3)) > 0.3, rng.random(300) > 0.5
    available[::7] = False
    shuffle = Shuffle.draw("fold0_seed0", available, labelled)
    moved = np.flatnonzero(available.any(axis=1))
    assert (shuffle.successor[moved] != moved).all()
    assert sorted(shuffle.successor) == list(range(300))
    np.testing.assert_array_equal(available[shuffle.successor], available)
    np.testing.assert_array_equal(labelled[shuffle.successor[moved]], labelled[moved])
    again = Shuffle.draw("fold0_seed0", available, labelled)
    np.testing.assert_array_equal(again.successor, shuffle.successor)
    assert not np.array_equal(Shuffle.draw("fold0_seed1", available, labelled).successor, shuffle.successor)


def test_an_exported_database_is_shuffled_as_the_whole_table_is() -> None:
    rng = np.random.default_rng(1)
    available, labelled = rng.random((200, 3)) > 0.3, rng.random(200) > 0.5
    available[rng.random(200) > 0.6] = False
    kept = np.flatnonzero(available.any(axis=1))
    whole = Shuffle.draw("fold0_seed0", available, labelled).successor
    exported = Shuffle.draw("fold0_seed0", available[kept], labelled[kept]).successor
    np.testing.assert_array_equal(kept[exported], whole[kept])


def test_ranking_and_scores_stay_and_contents_change() -> None:
    case = make_case(0, rows=120)
    real, other = find(*case, Rules()), find(*shuffled(case), Rules())
    np.testing.assert_array_equal(other.scores, real.scores)
    np.testing.assert_array_equal(other.rows >= 0, real.rows >= 0)
    found = real.rows >= 0
    assert (other.rows[found] != real.rows[found]).mean() > 0.8  # a row that is alone in its kind stays
    query, target, place = np.nonzero(found)
    assert case.database.available[other.rows[query, target, place], target].all()
    states = aggregate(other, case.database, Rules()).states
    plain = aggregate(real, case.database, Rules()).states
    assert any(not np.array_equal(states[m], plain[m]) for m in MODALITIES)


@pytest.mark.parametrize("speakers", [2, 5, 40])
def test_a_query_is_never_handed_its_own_speakers_contents(speakers: int) -> None:
    rng = np.random.default_rng(speakers)
    codes = rng.integers(0, speakers, 80)
    shuffle = Shuffle.draw("fold0_seed0", np.ones((80, 3), dtype=bool), np.ones(80, dtype=bool), codes)
    queries = np.arange(80)
    found = rng.integers(0, 80, (80, 3, 4))
    found[codes[found] == codes[queries, None, None]] = -1  # as the search leaves them
    given = shuffle.contents(found, queries)
    np.testing.assert_array_equal(given >= 0, found >= 0)
    assert (codes[given[found >= 0]] != np.broadcast_to(codes[:, None, None], found.shape)[found >= 0]).all()
    new_clips = shuffle.contents(found, np.full(80, -1))
    np.testing.assert_array_equal(new_clips[found >= 0], shuffle.successor[found[found >= 0]])
