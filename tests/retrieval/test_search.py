from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramer.errors import RetrievalError
from ramer.retrieval import fetching as fetching_module
from ramer.retrieval import ordering
from ramer.retrieval import search as search_module
from ramer.retrieval.exclusion import exclusion_codes
from ramer.retrieval.gpu_search import search_gpu
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.ordering import Hits
from ramer.retrieval.search import NEW_CLIP, search
from ramer.retrieval.states import l2_normalise


def flat(states: np.ndarray, rows: np.ndarray) -> DatabaseIndex:
    index = faiss.IndexFlatIP(states.shape[1])
    index.add(l2_normalise(states[rows]))
    return DatabaseIndex(index, rows, IndexKind(kind="flat", dimension=states.shape[1]))


def brute_force(
    states: np.ndarray, rows: np.ndarray, queries: np.ndarray, codes: np.ndarray, query_codes: np.ndarray, width: int
) -> Hits:
    """One query and one database row at a time."""
    out = Hits(np.full((len(queries), width), -1, np.int32), np.full((len(queries), width), np.nan, np.float32))
    for q, query in enumerate(l2_normalise(queries)):
        scored = []
        for row in rows:
            if codes[row] != query_codes[q]:
                key = states[row].astype(np.float64)
                scored.append((-np.float32(key @ query.astype(np.float64) / np.sqrt(key @ key)), row))
        for place, (score, row) in enumerate(sorted(scored)[:width]):
            out.rows[q, place], out.scores[q, place] = row, -score
    return out


def assert_same(hits: Hits, expected: Hits) -> None:
    """Equal scores; equal rows except where scores are tied to rounding."""
    np.testing.assert_allclose(hits.scores, expected.scores, atol=1e-6)
    for q in range(len(hits.rows)):
        for row in set(hits.rows[q]) ^ set(expected.rows[q]):
            both = np.concatenate([hits.scores[q][hits.rows[q] == row], expected.scores[q][expected.rows[q] == row]])
            assert abs(both[0] - expected.scores[q, -1]) < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 90),
    speakers=st.integers(1, 8),
    width=st.integers(1, 40),
    exclude=st.sampled_from(["speaker", "self"]),
    copies=st.integers(0, 60),
)
def test_equals_brute_force(seed: int, rows: int, speakers: int, width: int, exclude: str, copies: int) -> None:
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((rows, 4)).astype(np.float32)
    states[: min(copies, rows)] = states[0]  # ties
    groups = rng.integers(-1, speakers, rows)
    database = np.flatnonzero(rng.random(rows) < 0.7)
    codes = exclusion_codes(groups, exclude)
    hits = search(flat(states, database), states, states, width, codes=codes, query_codes=codes)
    assert_same(hits, brute_force(states, database, states, codes, codes, width))


def test_ties_are_in_the_order_of_rows_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    states = np.tile(np.array([[1, 2, 3]], dtype=np.float32), (300, 1))
    states[::3] = [3, 2, 1]
    index = flat(states, np.arange(300))
    hits = search(index, states, states, 20)
    assert hits.rows[0].tolist() == list(range(0, 60, 3))
    assert hits.rows[1].tolist() == [r for r in range(300) if r % 3][:20]
    monkeypatch.setattr(search_module, "BATCH", 7)
    monkeypatch.setattr(search_module, "MATRIX_NUMBERS", 1)
    monkeypatch.setattr(ordering, "GATHERED_FLOATS", 30)
    again = search(index, states, states, 20)
    assert np.array_equal(hits.rows, again.rows)
    assert np.array_equal(hits.scores, again.scores)


def test_scores_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    states = np.random.default_rng(0).standard_normal((400, 33)).astype(np.float32)
    index = flat(states, np.arange(0, 400, 2))
    whole = search(index, states, states, 10)
    single = [search(index, states, states[i : i + 1], 10) for i in range(30)]
    assert np.array_equal(whole.scores[:30], np.concatenate([s.scores for s in single]))
    assert np.array_equal(whole.rows[:30], np.concatenate([s.rows for s in single]))


@pytest.mark.parametrize(("many", "numbers"), [(10**9, 1), (1, 10**9), (1, 1)])
def test_every_kernel_finds_the_same(many: int, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    states = np.random.default_rng(0).standard_normal((700, 16)).astype(np.float32)
    codes = exclusion_codes(np.arange(700) // 9, "speaker")
    monkeypatch.setattr(fetching_module, "MANY", many)
    monkeypatch.setattr(fetching_module, "MATRIX_NUMBERS", numbers)
    hits = search(flat(states, np.arange(700)), states, states, 6, codes=codes, query_codes=codes)
    assert_same(hits, brute_force(states, np.arange(700), states, codes, codes, 6))


def test_a_group_larger_than_the_first_search_allows_for_is_excluded_whole() -> None:
    rng = np.random.default_rng(0)
    states = rng.standard_normal((600, 5)).astype(np.float32)
    states[:500] = states[0] + 0.01 * rng.standard_normal((500, 5))  # one speaker, all nearer than anyone else
    codes = exclusion_codes(np.where(np.arange(600) < 500, 0, -1), "speaker")
    hits = search(flat(states, np.arange(600)), states, states[:3], 8, codes=codes, query_codes=codes[:3])
    assert (hits.rows >= 500).all()
    assert_same(hits, brute_force(states, np.arange(600), states[:3], codes, codes[:3], 8))


def test_a_new_clip_excludes_nothing() -> None:
    states = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    codes = exclusion_codes(np.zeros(20, dtype=np.int64), "speaker")
    index = flat(states, np.arange(20))
    with_codes = search(index, states, states[:4], 3, codes=codes, query_codes=np.full(4, NEW_CLIP))
    assert with_codes.rows[:, 0].tolist() == [0, 1, 2, 3]
    assert np.array_equal(with_codes.rows, search(index, states, states[:4], 3).rows)


def test_unnamed_rows_exclude_only_themselves() -> None:
    codes = exclusion_codes(np.array([-1, 1, 0, 1, -1]), "speaker")
    assert codes[1] == codes[3]
    assert len(set(codes)) == 4
    assert len(set(exclusion_codes(np.array([-1, 1, 0, 1, -1]), "self"))) == 5
    with pytest.raises(ValueError, match="expected one of speaker, self"):
        exclusion_codes(np.array([0]), "nobody")


def test_a_database_smaller_than_the_width_is_padded() -> None:
    states = np.eye(3, dtype=np.float32)
    codes = exclusion_codes(np.full(3, -1), "self")
    hits = search(flat(states, np.arange(2)), states, states, 6, codes=codes, query_codes=codes)
    assert hits.rows[:, :2].tolist() == [[1, -1], [0, -1], [0, 1]]
    assert (hits.rows[:, 2:] == -1).all()
    assert np.array_equal(hits.rows < 0, np.isnan(hits.scores))


def test_an_empty_database_gives_no_neighbours() -> None:
    states = np.eye(3, dtype=np.float32)
    assert (search(flat(states, np.arange(0)), states, states, 4).rows == -1).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_zero_or_non_finite_query_is_refused_by_its_id(value: float) -> None:
    states = np.eye(3, dtype=np.float32)
    queries = states.copy()
    queries[1] = value
    with pytest.raises(RetrievalError, match="query b: expected a finite state"):
        search(flat(states, np.arange(3)), states, queries, 2, ids=["a", "b", "c"])


def test_a_query_of_another_size_is_refused() -> None:
    states = np.eye(3, dtype=np.float32)
    with pytest.raises(RetrievalError, match="query: expected 3 numbers, got 2"):
        search(flat(states, np.arange(3)), states, states[:, :2], 2)


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_approximate_index_is_asked_again_until_the_list_is_full(kind: str) -> None:
    rng = np.random.default_rng(1)
    states = rng.standard_normal((900, 6)).astype(np.float32)
    states[:400] = states[0] + 0.01 * rng.standard_normal((400, 6))
    codes = exclusion_codes(np.where(np.arange(900) < 400, 0, -1), "speaker")
    keys = l2_normalise(states)
    inner: Any
    if kind == "ivf":
        inner = faiss.IndexIVFFlat(faiss.IndexFlatIP(6), 6, 4, faiss.METRIC_INNER_PRODUCT)
        chosen = {"nlist": 4, "nprobe": 4}
        inner.cp.min_points_per_centroid = 1
        inner.train(keys)
    else:
        inner, chosen = faiss.IndexHNSWFlat(6, 16, faiss.METRIC_INNER_PRODUCT), {"ef": 16}
    inner.add(keys)
    index = DatabaseIndex(inner, np.arange(900), IndexKind(kind=kind, dimension=6, settings=chosen))
    hits = search(index, states, states[:50], 10, codes=codes, query_codes=codes[:50])
    exact = brute_force(states, np.arange(900), states[:50], codes, codes[:50], 10)
    assert (hits.rows >= 400).all()
    overlap = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(hits.rows, exact.rows, strict=True)])
    assert overlap > 0.95


def test_reranking_replaces_the_scores_of_compressed_keys() -> None:
    rng = np.random.default_rng(2)
    states = rng.standard_normal((600, 8)).astype(np.float32)
    keys = l2_normalise(states)
    inner = faiss.IndexIVFPQ(faiss.IndexFlatIP(8), 8, 2, 2, 4, faiss.METRIC_INNER_PRODUCT)
    inner.train(keys)
    inner.add(keys)
    sidecar = IndexKind(kind="ivf_pq", dimension=8, settings={"nlist": 2, "nprobe": 2})
    index = DatabaseIndex(inner, np.arange(600), sidecar)
    exact = search(index, states, states[:40], 5)
    raw = search(index, states, states[:40], 5, rerank=False)
    for hits, error in ((exact, 1e-6), (raw, None)):
        cosines = np.einsum("qh,qwh->qw", keys[:40], keys[hits.rows])
        assert (np.abs(cosines - hits.scores).max() < 1e-6) == (error is not None)
    assert np.nanmean(exact.scores) > np.einsum("qh,qwh->qw", keys[:40], keys[raw.rows]).mean()


def test_states_may_be_memory_mapped(tmp_path: Path) -> None:
    states = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    np.save(tmp_path / "states.npy", states)
    mapped = np.load(tmp_path / "states.npy", mmap_mode="r")
    index = flat(states, np.arange(50))
    assert np.array_equal(search(index, mapped, mapped, 4).rows, search(index, states, states, 4).rows)


@pytest.mark.parametrize(
    ("device", "gpus", "chosen"),
    [("cpu", 2, None), ("auto", 0, None), ("cuda", 0, None), ("auto", 1, 0), ("cuda", 1, 0), ("cuda:1", 2, 1)],
)
def test_the_device_that_searches(device: str, gpus: int, chosen: int | None) -> None:
    assert search_gpu(device, gpus) == chosen


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(RetrievalError, match=r"runtime\.device: cuda:3: FAISS sees 2 GPUs"):
        search_gpu("cuda:3", 2)
