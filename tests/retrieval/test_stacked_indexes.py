"""A stack of indexes finds what the search of every replicate finds, ties included."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from ramer.retrieval.fetching import FEW
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import search
from ramer.retrieval.stacked_indexes import StackedIndexes
from ramer.retrieval.states import l2_normalise, row_norms

WIDTH = 10


def build(states: list[np.ndarray], width: int = WIDTH) -> tuple[StackedIndexes, list[DatabaseIndex]]:
    """Flat indexes over every second row of each replicate's states."""
    indexes = []
    for replicate, table in enumerate(states):
        rows = np.arange(replicate % 2, len(table), 2)
        index = faiss.IndexFlatIP(table.shape[1])
        index.add(l2_normalise(table[rows]))
        indexes.append(DatabaseIndex(index, rows, IndexKind(kind="flat", dimension=table.shape[1])))
    return StackedIndexes(indexes, states, [row_norms(s) for s in states], width, rerank=True), indexes


@pytest.mark.parametrize("clips", [1, FEW, FEW + 1])
@pytest.mark.parametrize("kind", ["distinct", "all alike", "few values"])
def test_a_stack_finds_what_each_index_finds(clips: int, kind: str) -> None:
    rng = np.random.default_rng(0)
    states = [rng.normal(size=(200, 6)).astype(np.float32) for _ in range(3)]
    if kind == "all alike":
        states = [np.ones_like(table) * (1 + np.arange(200, dtype=np.float32)[:, None]) for table in states]
    elif kind == "few values":
        states = [np.sign(table) for table in states]
    stacked, indexes = build(states)
    queries = rng.normal(size=(3, clips, 6)).astype(np.float32)
    got = stacked.search(queries)
    for replicate, index in enumerate(indexes):
        expected = search(index, states[replicate], queries[replicate], WIDTH)
        np.testing.assert_array_equal(got.rows[replicate], expected.rows)
        np.testing.assert_array_equal(got.scores[replicate], expected.scores)


def test_a_database_smaller_than_the_width_is_searched_whole() -> None:
    states = [np.random.default_rng(r).normal(size=(12, 4)).astype(np.float32) for r in range(2)]
    stacked, _ = build(states)
    got = stacked.search(np.ones((2, 1, 4), dtype=np.float32))
    assert ((got.rows >= 0).sum(axis=2) == 6).all()
    assert (np.isnan(got.scores) == (got.rows < 0)).all()
