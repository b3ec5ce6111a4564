"""Rows that are added later against a build of everything at once."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pandas as pd
import pytest

from ramer.config import Index
from ramer.errors import RetrievalError
from ramer.files import digest_file, digest_strings, read_json, read_table, write_table
from ramer.retrieval.append import append_keys
from ramer.retrieval.index_kinds import KINDS, add_keys
from ramer.retrieval.index_sidecars import Sidecar
from ramer.retrieval.indexed_rows import IndexedRows
from ramer.retrieval.indexes import StoredIndex, load_index, save_index
from ramer.retrieval.states import l2_normalise
from tests.support.tiny_states import Tiny, build, write_tiny

OLD = 120


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Tiny, Tiny]:
    """A corpus and the same one with twenty more pool rows."""
    small, large = write_tiny(tmp_path / "small"), write_tiny(tmp_path / "large", rows=OLD + 20, pool=50)
    for name in ("rows", "splits"):
        old, new = (read_table(tiny.prepared / f"{name}.parquet") for tiny in (small, large))
        write_table(large.prepared / f"{name}.parquet", pd.concat([old, new.iloc[OLD:]], ignore_index=True))
    states = large.read_states("audio")
    states[:, :OLD] = small.read_states("audio")
    large.write_states("audio", states)
    return small, large


def built(tiny: Tiny, kind: str = "flat") -> Path:
    build(tiny, index={"kind": kind}, retrieval={"scope": "all", "width": 20})
    return tiny.index("audio", "fold0_seed0")


def new_rows(large: Tiny) -> np.ndarray:
    return OLD + np.flatnonzero(large.open_corpus().available[OLD:, 0])


def grow(small: Tiny, large: Tiny, kind: str) -> StoredIndex:
    corpus, rows = large.open_corpus(), new_rows(large)
    index = load_index(built(small, kind), mapped=False)
    states = large.read_states("audio")[0]
    return append_keys(index, states, rows, corpus.ids[rows], ids_digest=corpus.ids_digest)


def test_a_flat_index_that_has_grown_is_one_built_anew(grown: tuple[Tiny, Tiny], tmp_path: Path) -> None:
    small, large = grown
    path = tmp_path / "fold0_seed0.faiss"
    save_index(grow(small, large, "flat"), path)
    rebuilt = built(large)
    assert digest_file(path) == digest_file(rebuilt)
    for ending in (".json", ".parquet"):
        assert digest_file(path.with_suffix(ending)) == digest_file(rebuilt.with_suffix(ending))


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq"])
def test_an_inverted_list_index_grows_as_if_all_had_been_added_to_its_centroids(
    grown: tuple[Tiny, Tiny], kind: str, tmp_path: Path
) -> None:
    small, large = grown
    path = tmp_path / "grown.faiss"
    save_index(grow(small, large, kind), path)
    states, old = large.read_states("audio")[0], load_index(built(small, kind), mapped=False)
    whole = old.faiss_index
    whole.reset()  # its centroids stay
    rows = np.concatenate([old.rows, new_rows(large)])
    add_keys(whole, kind, states, rows, rows)
    faiss.write_index(whole, str(tmp_path / "whole.faiss"))
    assert digest_file(path) == digest_file(tmp_path / "whole.faiss")
    sidecar = read_json(path.with_suffix(".json"))
    assert load_index(path).rows.tolist() == rows.tolist()
    assert sidecar["count"] == len(rows)
    assert 0 < sidecar["recall_at_5"] <= 1


@pytest.mark.parametrize("kind", ["flat", "ivf_flat", "hnsw"])
def test_new_rows_are_found(grown: tuple[Tiny, Tiny], kind: str) -> None:
    small, large = grown
    index = grow(small, large, kind)
    if kind == "ivf_flat":
        faiss.ParameterSpace().set_index_parameter(index.faiss_index, "nprobe", OLD)
    queries = l2_normalise(large.read_states("audio")[0][new_rows(large)])
    assert np.array_equal(index.rows[index.faiss_index.search(queries, 1)[1][:, 0]], new_rows(large))


def test_the_first_rows_of_a_modality_make_its_index() -> None:
    index, _ = KINDS["flat"](Index(), 0, 1)
    described = {"modality": "audio", "scope": "all", "encoder_digest": "e", "ids_digest": "i", "recall_at_5": None}
    sidecar = Sidecar.model_validate(described | {"kind": "flat", "count": 0, "dimension": 0})
    empty = StoredIndex.of(index, IndexedRows.of(np.zeros(0, np.int64), []), sidecar)
    states = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    found = append_keys(empty, states, np.array([0, 2]), ["a", "b"], ids_digest="d")
    assert (found.faiss_index.ntotal, found.faiss_index.d) == (2, 4)


def test_rows_out_of_order_or_known_already_are_refused(grown: tuple[Tiny, Tiny]) -> None:
    small, large = grown
    states, rows = large.read_states("audio")[0], new_rows(large)
    index = load_index(built(small), mapped=False)
    last, known = int(index.rows[-1]), index.named.ids[0].as_py()
    for wrong, names, said in (
        (rows[::-1], ["x"] * len(rows), "expected ascending numbers above"),
        (np.array([last]), ["x"], f"expected ascending numbers above {last}"),
        (rows[:1], [known], f"id '{known}' is in the index already"),
        (rows[:2], ["x"], "expected an id for each of 2, got 1"),
    ):
        with pytest.raises(RetrievalError, match=said):
            append_keys(index, states, wrong, names, ids_digest="d")
    assert index.faiss_index.ntotal == len(index.rows)


def test_digest_of_ids_is_the_one_that_states_carry(grown: tuple[Tiny, Tiny]) -> None:
    small, large = grown
    index = grow(small, large, "flat")
    assert index.about.ids_digest == digest_strings(large.open_corpus().ids)
