"""An approximate index that leaves a query short is searched again, until the query has all that it may have."""

from __future__ import annotations

import logging
from typing import Any

import faiss
import numpy as np
import pytest

from ramer.config import Index
from ramer.files import read_json
from ramer.retrieval import recall as recall_module
from ramer.retrieval.diagnostics import average, short_lists
from ramer.retrieval.exclusion import excluded_counts, exclusion_codes
from ramer.retrieval.index_kinds import fill_index
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex, load_index
from ramer.retrieval.neighbours import NeighbourTable
from ramer.retrieval.search import search
from ramer.retrieval.states import l2_normalise
from tests.support.tiny_states import Tiny, build, run

ROWS, SPEAKERS, HIDDEN, WIDTH = 1200, 20, 6, 12


def speaker_states(rows: int, groups: np.ndarray, spread: float = 0.15) -> np.ndarray:
    """States that lie where their speaker's do."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((groups.max() + 1, HIDDEN))
    return (centres[groups] + spread * rng.standard_normal((rows, HIDDEN))).astype(np.float32)


def made(kind: str, keys: np.ndarray, lists: int = 60, bits: int = 6) -> DatabaseIndex:
    """An index that visits as little as it can."""
    inner: Any
    if kind == "hnsw":
        inner, settings = faiss.IndexHNSWFlat(HIDDEN, 2, faiss.METRIC_INNER_PRODUCT), {"ef": 2}
    else:
        coarse, settings = faiss.IndexFlatIP(HIDDEN), {"nlist": lists, "nprobe": 1}
        if kind == "ivf_flat":
            inner = faiss.IndexIVFFlat(coarse, HIDDEN, lists, faiss.METRIC_INNER_PRODUCT)
        else:
            inner = faiss.IndexIVFPQ(coarse, HIDDEN, lists, 3, bits, faiss.METRIC_INNER_PRODUCT)
            inner.pq.cp.min_points_per_centroid = 1
        inner.cp.min_points_per_centroid = 1
        inner.train(keys)
    inner.add(keys)
    return DatabaseIndex(inner, np.arange(len(keys)), IndexKind(kind=kind, dimension=HIDDEN, settings=settings))


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq", "hnsw"])
def test_a_query_finds_the_same_alone_as_among_others(kind: str) -> None:
    """How far the search must go for somebody else changes nothing."""
    sizes = [600, 300, *[40] * 15, *[5] * 20]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    states = speaker_states(len(groups), groups)
    index, codes = made(kind, l2_normalise(states), lists=30, bits=4), exclusion_codes(groups, "speaker")
    asked = np.arange(0, len(groups), 5)
    together = search(index, states, states[asked], WIDTH, codes=codes, query_codes=codes[asked])
    for place, row in enumerate(asked):
        alone = search(index, states, states[[row]], WIDTH, codes=codes, query_codes=codes[[row]])
        np.testing.assert_array_equal(together.rows[place], alone.rows[0])


def test_recall_of_a_graph_is_that_of_its_search() -> None:
    groups = np.arange(4000) % 4
    states = np.random.default_rng(0).standard_normal((4000, 24)).astype(np.float32)
    codes, options = exclusion_codes(groups, "speaker"), Index(kind="hnsw", m=8, ef=16)
    inner, settings, recall = fill_index(options, "hnsw", states, np.arange(4000), np.arange(4000).astype(str), codes)
    index = DatabaseIndex(inner, np.arange(4000), IndexKind(kind="hnsw", dimension=24, settings=settings))
    exact = DatabaseIndex(faiss.IndexFlatIP(24), np.arange(4000), IndexKind(kind="flat", dimension=24))
    exact.faiss_index.add(l2_normalise(states))
    found, best = (search(i, states, states, 5, codes=codes, query_codes=codes).rows for i in (index, exact))
    share = np.mean([len(set(one) & set(other)) / 5 for one, other in zip(found, best, strict=True)])
    assert recall is not None
    assert abs(recall - share) < 0.05


def test_where_nothing_may_be_found_there_is_no_recall() -> None:
    states = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
    rows, ids = np.arange(200), np.arange(200).astype(str)
    options = Index(kind="ivf_flat")
    recall = fill_index(options, "ivf_flat", states, rows, ids, np.zeros(200, dtype=np.int64))[2]
    assert recall is None


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq", "hnsw"])
@pytest.mark.parametrize("exclude", ["speaker", "self", None])
def test_every_list_is_full_where_states_cluster_by_speaker(kind: str, exclude: str | None) -> None:
    groups = np.arange(ROWS) % SPEAKERS
    states = speaker_states(ROWS, groups, 0.02)
    codes = None if exclude is None else exclusion_codes(groups, exclude)
    hits = search(made(kind, l2_normalise(states)), states, states, WIDTH, codes=codes, query_codes=codes)
    assert (hits.rows >= 0).all()
    assert np.isfinite(hits.scores).all()
    if codes is not None:
        assert (codes[hits.rows] != codes[:, None]).all()


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq", "hnsw"])
def test_a_query_gets_all_that_are_left_for_it_however_few(kind: str) -> None:
    groups = np.where(np.arange(ROWS) < ROWS - 5, 0, 1)
    states = speaker_states(ROWS, groups, 0.02)
    codes = exclusion_codes(groups, "speaker")
    hits = search(made(kind, l2_normalise(states)), states, states[:40], WIDTH, codes=codes, query_codes=codes[:40])
    assert (np.sort(hits.rows[:, :5], axis=1) == np.arange(ROWS - 5, ROWS)).all()
    assert (hits.rows[:, 5:] == -1).all()


def clustered(tiny: Tiny) -> None:
    corpus = tiny.open_corpus()
    groups = np.where(corpus.groups >= 0, corpus.groups, corpus.groups.max() + 1 + np.arange(corpus.rows) % 3)
    states = np.repeat(speaker_states(corpus.rows, groups)[None], 2, axis=0)
    states[:, ~corpus.available[:, 0]] = np.nan
    tiny.write_states("audio", states)


def lengths(table: NeighbourTable) -> np.ndarray:
    return (np.asarray(table.rows) >= 0).sum(axis=2)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "ivf_flat", "nlist": 16, "nprobe": 1},
        {"kind": "ivf_pq", "nlist": 16, "nprobe": 1},
        {"kind": "hnsw", "m": 2, "ef": 1},
    ],
    ids=lambda settings: settings["kind"],
)
@pytest.mark.parametrize("lists", ["memory", "disk"])
def test_the_stage_finds_as_many_as_an_exact_search(tiny: Tiny, settings: dict[str, Any], lists: str) -> None:
    clustered(tiny)
    exact = lengths(run(tiny))
    assert "short_lists" not in read_json(tiny.neighbours("audio") / "diagnostics.json")["mean"]
    table = run(tiny, index=settings | ({} if settings["kind"] == "hnsw" else {"lists": lists}))
    assert np.array_equal(lengths(table), exact)
    assert read_json(tiny.neighbours("audio") / "diagnostics.json")["mean"]["short_lists"] == 0


@pytest.mark.parametrize("exclude", ["speaker", "self"])
def test_recall_is_of_the_rows_that_a_query_may_find(tiny: Tiny, exclude: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clustered(tiny)
    monkeypatch.setattr(recall_module, "BLOCK", 7)
    monkeypatch.setattr(recall_module, "QUERIES", 1000)
    monkeypatch.setattr(recall_module, "MOST_FETCHED", 100)
    build(tiny, index={"kind": "ivf_flat", "nlist": 8, "nprobe": 2, "rerank": False}, retrieval={"exclude": exclude})
    loaded = load_index(tiny.index("audio", "fold0_seed0"))
    keys = l2_normalise(tiny.read_states("audio")[0][loaded.rows])
    codes = exclusion_codes(tiny.open_corpus().groups, exclude)[loaded.rows]
    near = loaded.faiss_index.search(keys, len(keys))[1]
    hits = []
    for own, (found, wanted) in enumerate(zip(near.tolist(), np.argsort(-(keys @ keys.T), axis=1), strict=True)):
        others = [row for row in wanted.tolist() if codes[row] != codes[own]][:5]
        reached = [row for row in found if row >= 0 and codes[row] != codes[own]][:5]
        hits.append(len(set(others) & set(reached)) / 5)
    assert loaded.about.recall_at_5 == pytest.approx(np.mean(hits))
    assert (np.mean(hits) > 0.9) == (exclude == "self")


def test_more_lists_are_visited_where_the_speaker_is_excluded(tiny: Tiny) -> None:
    clustered(tiny)
    chosen = {}
    for exclude in ("self", "speaker"):
        build(tiny, index={"kind": "ivf_flat", "nlist": 12}, retrieval={"exclude": exclude})
        chosen[exclude] = read_json(tiny.indexes("audio") / "fold0_seed0.json")
        assert chosen[exclude]["recall_at_5"] >= recall_module.WANTED
    assert chosen["speaker"]["settings"]["nprobe"] > chosen["self"]["settings"]["nprobe"]


def test_lists_that_lack_rows_are_told(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clustered(tiny)
    settings = {"kind": "ivf_flat", "nlist": 16, "nprobe": 6}
    monkeypatch.setattr("ramer.retrieval.search.wider_fetches", lambda index: ())  # the search of before
    with caplog.at_level(logging.WARNING):
        table = run(tiny, index=settings, width=5)
    short = read_json(tiny.neighbours("audio") / "diagnostics.json")
    warned = [record.getMessage() for record in caplog.records]
    corpus, held = tiny.open_corpus(), tiny.open_corpus().available[table.queries, 0]
    told = []
    for replicate in corpus.replicates:
        index = load_index(tiny.index("audio", replicate.name))
        codes = exclusion_codes(corpus.groups, "speaker")
        left = [min(int((codes[index.rows] != codes[q]).sum()), 5) for q in table.queries[held]]
        share = float(np.mean(lengths(table)[replicate.index, held] < left))
        assert short["replicates"][replicate.name]["short_lists"] == pytest.approx(share)
        if share:
            told.append(f"audio {replicate.name}: {100 * share:.1f} % of the lists hold fewer rows than there are for")
    assert told
    assert [line.startswith(start) for line, start in zip(warned, told, strict=True)] == [True] * len(told)
    nothing = np.full((len(table.queries), 5), -1)
    assert short_lists(corpus, "audio", index, "speaker", table.queries, nothing) == 1


def test_figures_of_replicates_of_different_kinds_are_averaged() -> None:
    assert average({"one": {"a": 1.0}, "two": {"a": 3.0, "b": 5.0}}) == {"a": 2.0, "b": 5.0}


def test_excluded_rows_are_counted() -> None:
    held, asked = np.array([4, 4, 9, 2]), np.array([4, 9, 3, -1, 100])
    counts, largest = excluded_counts(held, asked)
    assert (counts.tolist(), largest) == ([2, 1, 0, 0, 0], 2)
    counts, largest = excluded_counts(np.array([], dtype=np.int64), asked)
    assert (counts.tolist(), largest) == ([0] * 5, 0)
