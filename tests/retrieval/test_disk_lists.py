"""Inverted lists on disk, filled in shards, are those that are filled in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ramer.config import Index
from ramer.digests import digest_files
from ramer.errors import RetrievalError, StaleError
from ramer.retrieval import disk_lists
from ramer.retrieval.disk_lists import build_on_disk, open_on_disk
from ramer.retrieval.index_kinds import fill_index
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import search

SETTINGS = {"ivf_flat": Index(kind="ivf_flat", nlist=16), "ivf_pq": Index(kind="ivf_pq", nlist=8, m=4)}


@pytest.fixture
def states(tmp_path: Path) -> Path:
    """Clustered states of 900 rows, two replicates."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 16))
    drawn = centres[rng.integers(0, 12, (2, 900))] + 0.3 * rng.normal(size=(2, 900, 16))
    folder = tmp_path / "states"
    folder.mkdir()
    np.save(folder / "states.npy", drawn.astype(np.float32))
    return folder


def _lists(index: faiss.Index) -> list[tuple[list[int], list[int]]]:
    """Places and codes in each list."""
    lists: Any = faiss.extract_index_ivf(index).invlists
    sizes = [lists.list_size(number) for number in range(lists.nlist)]
    return [
        (
            faiss.rev_swig_ptr(lists.get_ids(number), size).tolist(),
            faiss.rev_swig_ptr(lists.get_codes(number), size * lists.code_size).tolist(),
        )
        for number, size in enumerate(sizes)
        if size
    ]


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq"])
def test_every_list_is_that_of_one_in_memory(
    states: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_lists, "SHARD_ROWS", 200)
    rows, table = np.arange(0, 900, 2), np.load(states / "states.npy")[1]
    about = build_on_disk(SETTINGS[kind], kind, states, 1, rows, tmp_path / "out")
    whole, chosen, recall = fill_index(SETTINGS[kind], kind, table, rows, np.arange(900))
    assert (about.settings, about.recall_at_5) == (chosen, recall)
    found = open_on_disk(tmp_path / "out")
    for ours, theirs in zip(_lists(found.faiss_index), _lists(whole), strict=True):
        assert ours == theirs
    memory = DatabaseIndex(whole, rows, IndexKind(kind=kind, dimension=16, settings=chosen))
    answers = [search(index, table, table[1::2], 5) for index in (found, memory)]
    assert np.array_equal(answers[0].rows, answers[1].rows)


def test_shards_and_a_moved_folder_change_nothing(
    states: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    digests = []
    for size in (1000, 333):
        monkeypatch.setattr(disk_lists, "SHARD_ROWS", size)
        out = tmp_path / f"of_{size}"
        build_on_disk(SETTINGS["ivf_flat"], "ivf_flat", states, 0, np.arange(900), out)
        digests.append(digest_files(out, [out]))
    assert digests[0] == digests[1]
    assert set(digests[0]) == {"digests.json", "index.faiss", "index.json", "lists.ivfdata", "rows.npy"}
    (tmp_path / "of_333").rename(tmp_path / "moved")
    table = np.load(states / "states.npy")[0]
    assert search(open_on_disk(tmp_path / "moved"), table, table[:5], 1).rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert capfd.readouterr().out == ""


def test_faults_leave_nothing_and_torn_lists_are_refused(states: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RetrievalError, match="expected rows and one of ivf_flat, ivf_pq, got flat"):
        build_on_disk(Index(), "flat", states, 0, np.arange(900), out)
    table = np.load(states / "states.npy")
    table[0, 7] = np.nan
    np.save(states / "states.npy", table)
    with pytest.raises(RetrievalError, match="key of row 7"):
        build_on_disk(SETTINGS["ivf_flat"], "ivf_flat", states, 0, np.arange(900), out)
    assert [path.name for path in tmp_path.iterdir()] == ["states"]
    build_on_disk(SETTINGS["ivf_flat"], "ivf_flat", states, 1, np.arange(900), out)
    with (out / "lists.ivfdata").open("ab") as file:
        file.write(b"more")
    with pytest.raises(StaleError, match=r"lists\.ivfdata: absent or torn"):
        open_on_disk(out)
