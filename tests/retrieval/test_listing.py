"""Neighbour lists of a batch: those that are asked for, and nobody else's."""

from __future__ import annotations

import faiss
import numpy as np

from ramer.modalities import MODALITIES
from ramer.retrieval.exclusion import exclusion_codes
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.listing import search_lists
from ramer.retrieval.search import search
from ramer.retrieval.states import l2_normalise
from ramer.retrieval.structures import Database, Queries


def make() -> tuple[dict[str, DatabaseIndex], Database]:
    rng = np.random.default_rng(0)
    states = {m: rng.normal(size=(30, 4)).astype(np.float32) for m in MODALITIES}
    indexes = {}
    for m in ("audio", "video"):
        index = faiss.IndexFlatIP(4)
        index.add(l2_normalise(states[m]))
        indexes[m] = DatabaseIndex(index, np.arange(30), IndexKind(kind="flat", dimension=4))
    return indexes, Database(states, np.ones((30, 3), dtype=bool), np.zeros(30, dtype=np.int64))


def test_lists_are_those_of_each_space() -> None:
    indexes, database = make()
    available = np.array([[True, True, True], [False, True, True], [True, False, False]])
    rng = np.random.default_rng(1)
    states = {m: rng.normal(size=(3, 4)).astype(np.float32) for m in MODALITIES}
    lists = search_lists(indexes, database, Queries(states, available), 5, asked=np.array([True, True, False]))
    for i, m in enumerate(MODALITIES):
        for n in range(3):
            wanted = available[n, i] and n < 2 and m in indexes
            assert (lists.rows[m][n] >= 0).all() == wanted
            assert np.isnan(lists.scores[m][n]).all() == (not wanted)
            if wanted:
                expected = search(indexes[m], database.states[m], states[m][n : n + 1], 5)
                np.testing.assert_array_equal(lists.rows[m][n], expected.rows[0])


def test_a_row_of_the_database_finds_neither_itself_nor_its_group() -> None:
    indexes, database = make()
    codes = exclusion_codes(np.arange(30) // 10, "speaker")
    rows = np.array([3, 14])
    queries = Queries({m: s[rows] for m, s in database.states.items()}, np.ones((2, 3), dtype=bool), rows)
    lists = search_lists(indexes, database, queries, 8, codes=codes)
    assert (lists.rows["audio"] // 10 != rows[:, None] // 10).all()
    free = search_lists(indexes, database, queries, 8)
    np.testing.assert_array_equal(free.rows["audio"][:, 0], rows)
