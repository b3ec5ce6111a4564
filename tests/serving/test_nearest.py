"""The quick path for a few clips finds what the search of every replicate finds, ties included."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest

from ramer import Predictor
from ramer.methods.ramer import Ramer
from ramer.modalities import CONDITIONS
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import search
from ramer.retrieval.states import l2_normalise, row_norms
from ramer.serving.nearest import FEW, StackedIndexes
from tests.support.served_project import raw_features, rows_of

WIDTH = 10


def build(states: list[np.ndarray], width: int = WIDTH) -> tuple[StackedIndexes, list[DatabaseIndex]]:
    """Flat indexes over every second row of each replicate's states."""
    indexes = []
    for replicate, table in enumerate(states):
        rows = np.arange(replicate % 2, len(table), 2)
        index = faiss.IndexFlatIP(table.shape[1])
        index.add(l2_normalise(table[rows]))
        indexes.append(DatabaseIndex(index, rows, {"kind": "flat", "dimension": table.shape[1], "settings": {}}))
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


@pytest.mark.parametrize("method", ["ramer", "literal", "calibrated"])
def test_one_clip_gets_the_neighbours_that_it_gets_in_a_batch(served: Path, method: str) -> None:
    predictor = Predictor.load(served, method)
    for condition in CONDITIONS:
        features = raw_features(served, rows_of(served)[: 2 * FEW], condition)
        whole = predictor.predict(features, neighbours=True)
        for row in range(2 * FEW):
            one = predictor.predict({m: v[row] for m, v in features.items()}, neighbours=True)
            np.testing.assert_allclose(one.probabilities[0], whole.probabilities[row], atol=1e-6)
            near, expected = one.neighbours[0], whole.neighbours[row]
            assert [(n.target, n.id, n.label) for n in near] == [(n.target, n.id, n.label) for n in expected]
            np.testing.assert_allclose([n.score for n in near], [n.score for n in expected], atol=1e-5)


def test_single_clips_in_four_threads_get_what_they_get_alone(served: Path) -> None:
    predictor = Predictor.load(served)
    rows = rows_of(served)
    clips = [
        {m: v[row] for m, v in raw_features(served, rows, condition).items()}
        for row, condition in zip(range(len(rows)), list(CONDITIONS) * len(rows), strict=False)
    ]
    alone = [predictor.predict(clip, neighbours=True) for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda clip: predictor.predict(clip, neighbours=True), clips))
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.probabilities, two.probabilities)
        assert one.neighbours == two.neighbours


def test_methods_with_rules_of_their_own_find_for_themselves(served: Path) -> None:
    assert Predictor.load(served, "ramer")._stack is not None
    assert Predictor.load(served, "literal")._stack is not None
    calibrated = Predictor.load(served, "calibrated")
    assert calibrated._stack is None
    assert all(isinstance(r.method, Ramer) for r in calibrated._replicates)
