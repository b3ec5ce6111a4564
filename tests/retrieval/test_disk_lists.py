"""Inverted lists on disk, filled in shards, are those that are filled in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ramer import engine
from ramer.config import Index
from ramer.digests import digest_files
from ramer.errors import ConfigError, RetrievalError, StaleError
from ramer.retrieval import disk_lists
from ramer.retrieval.disk_lists import States, fill_on_disk, lists_of
from ramer.retrieval.index_kinds import fill_index
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexed_rows import IndexedRows
from ramer.retrieval.indexes import DatabaseIndex, load_index
from ramer.retrieval.search import search
from tests.support.disks import small_disk
from tests.support.tiny_states import Tiny, build, run, tiny_config

SETTINGS: dict[str, dict[str, Any]] = {
    "ivf_flat": {"kind": "ivf_flat", "nlist": 16, "nprobe": 3},
    "ivf_pq": {"kind": "ivf_pq", "nlist": 8, "m": 4},
}
IDS = np.array([f"clip{row}" for row in range(900)], dtype=object)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several of them, of keys of 16 numbers."""
    monkeypatch.setattr(disk_lists, "BLOCK", 50)
    monkeypatch.setattr(disk_lists, "SHARD_NUMBERS", 200 * 16)


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
def test_every_list_is_that_of_one_in_memory(states: Path, tmp_path: Path, kind: str) -> None:
    settings, rows, table = Index(**SETTINGS[kind]), np.arange(0, 900, 2), np.load(states / "states.npy")[1]
    named = IndexedRows.of(rows, IDS[rows])
    ours, chosen, recall = fill_on_disk(settings, kind, States(states, 1), named, IDS, tmp_path / "out.faiss")
    whole, sizes, reached = fill_index(settings, kind, table, rows, IDS)
    assert (chosen, recall) == (sizes, reached)
    for one, other in zip(_lists(ours), _lists(whole), strict=True):
        assert one == other
    about = IndexKind(kind=kind, dimension=16, settings=chosen)
    answers = [search(DatabaseIndex(index, rows, about), table, table[1::2], 5) for index in (ours, whole)]
    assert np.array_equal(answers[0].rows, answers[1].rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.ivfdata", "states"]


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq", "auto"])
def test_the_stage_finds_the_neighbours_of_lists_in_memory(
    tiny: Tiny, kind: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ramer.retrieval.index_kinds.FLAT_ROWS", 10)
    asked = {"kind": kind, "nlist": 8}
    memory = run(tiny, index=asked)
    monkeypatch.setattr(disk_lists, "BLOCK", 7)
    monkeypatch.setattr(disk_lists, "SHARD_NUMBERS", 6)  # no less than a block
    engine_map, shards = engine.map, []

    def counted(function: Any, items: Any, **options: Any) -> Any:
        shards.append(len(items))
        return engine_map(function, items, **options)

    monkeypatch.setattr(disk_lists.engine, "map", counted)
    disk = run(tiny, index=asked | {"lists": "disk"})
    assert np.array_equal(memory.rows, disk.rows)
    assert np.array_equal(memory.scores, disk.scores, equal_nan=True)
    assert len(shards) == 2
    assert min(shards) > 3
    names = {path.suffix for path in tiny.indexes("audio").iterdir()}
    assert names == {".faiss", ".ivfdata", ".json", ".parquet"}
    assert "ivfdata" in (tiny.indexes("audio") / "digests.json").read_text()
    assert capfd.readouterr().out == ""


def test_kinds_without_lists_are_what_they_were(tiny: Tiny) -> None:
    folder = build(tiny, index={"kind": "auto", "lists": "disk"})  # so small that it is flat
    assert load_index(folder / "fold0_seed0.faiss").exact
    for kind in ("flat", "hnsw"):
        told = f"params.yaml: index: lists: disk: expected kind ivf_flat, ivf_pq or auto, as {kind} has no lists"
        with pytest.raises(ConfigError, match=told) as caught:
            tiny_config(index={"kind": kind, "lists": "disk"})
        assert len(caught.value.faults) == 1


def test_shards_change_nothing(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    digests, shards, engine_map = [], [], engine.map

    def counted(function: Any, items: Any, **options: Any) -> Any:
        shards.append(len(items))
        return engine_map(function, items, **options)

    monkeypatch.setattr(disk_lists.engine, "map", counted)
    monkeypatch.setattr(disk_lists, "SHARD_NUMBERS", 1)  # a shard is a block
    for size in (1, 20, 1000):
        monkeypatch.setattr(disk_lists, "BLOCK", size)
        folder = build(tiny, index={"kind": "ivf_flat", "nlist": 4, "lists": "disk"})
        digests.append(digest_files(folder, [folder]))
    assert digests[0] == digests[1] == digests[2]
    assert shards[0] > shards[len(shards) // 2] > shards[-1] == 1


def test_a_folder_that_was_moved_and_cannot_be_written_is_searched(tiny: Tiny, tmp_path: Path) -> None:
    folder = build(tiny, index={"kind": "ivf_flat", "nlist": 4, "nprobe": 4, "lists": "disk"})
    folder.rename(tmp_path / "moved")
    for path in (tmp_path / "moved").iterdir():
        path.chmod(0o444)  # as DVC's cache links them
    index = load_index(tmp_path / "moved" / "fold0_seed0.faiss")
    table = tiny.read_states("audio")[0]
    asked = index.rows[:5]
    assert search(index, table, table[asked], 1).rows[:, 0].tolist() == asked.tolist()


def test_lists_on_disk_take_no_more_keys(tiny: Tiny) -> None:
    folder = build(tiny, index={"kind": "ivf_flat", "nlist": 4, "lists": "disk"})
    with pytest.raises(RetrievalError, match=r"fold0_seed0\.faiss: has its lists on disk, which take no more keys"):
        load_index(folder / "fold0_seed0.faiss", mapped=False)


def test_a_bad_key_is_named_and_nothing_is_left(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tiny.open_corpus()
    train = corpus.rows_in(corpus.replicates[0], "train")
    row = train[corpus.available[train, 0]][-1]
    states = tiny.read_states("audio")
    states[0, row] = np.nan
    tiny.write_states("audio", states)
    monkeypatch.setattr(disk_lists, "BLOCK", 7)
    monkeypatch.setattr("ramer.retrieval.index_kinds.TRAIN_PER_CENTROID", 1)  # the sample misses it
    with pytest.raises(RetrievalError, match=f"key of row {corpus.ids[row]}: expected a finite state") as caught:
        build(tiny, index={"kind": "ivf_flat", "nlist": 2, "lists": "disk"})
    assert len(caught.value.faults) == 1
    assert list(tiny.indexes("audio").parent.iterdir()) == []


@pytest.mark.parametrize("change", ["longer", "absent", "beside one in memory"])
def test_lists_that_are_not_the_index_own_are_refused(tiny: Tiny, change: str) -> None:
    memory = change == "beside one in memory"
    folder = build(tiny, index={"kind": "ivf_flat", "nlist": 4, "lists": "memory" if memory else "disk"})
    path = folder / "fold0_seed0.faiss"
    if change == "absent":
        lists_of(path).unlink()
    else:
        with lists_of(path).open("ab") as file:
            file.write(b"more")
    with pytest.raises(StaleError, match=r"fold0_seed0\.faiss: torn, or no index of FAISS"):
        load_index(path)


def test_a_disk_without_room_is_one_fault(states: Path, tmp_path: Path) -> None:
    settings = Index(**SETTINGS["ivf_flat"])
    named = IndexedRows.of(np.arange(900), IDS)
    with small_disk(tmp_path / "small", 110_000) as small, pytest.raises(OSError, match="No space left"):
        fill_on_disk(settings, "ivf_flat", States(states, 0), named, IDS, small / "out.faiss")
