"""Inverted lists on disk: trained once, filled in shards by several workers, merged without being held in memory."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from faiss.contrib.ondisk import merge_ondisk

from ramer import engine
from ramer.config import Index
from ramer.digests import sealed_directory
from ramer.errors import RetrievalError, StaleError
from ramer.records import Record
from ramer.retrieval.index_kinds import BLOCK, new_index, train_index
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.recall import RecallSample
from ramer.retrieval.states import l2_normalise, map_arrays

KINDS_ON_DISK = ("ivf_flat", "ivf_pq")
SHARD_ROWS = 500_000  # keys that a worker holds at a time: of 64 numbers, 130 MB and what FAISS' vectors grow by
_INDEX, _LISTS, _ROWS, _ABOUT, _PARTS = "index.faiss", "lists.ivfdata", "rows.npy", "index.json", "shards"


class ListsRecord(IndexKind, Record):
    """``index.json`` of an index whose lists are on disk.

    Attributes:
        recall_at_5: measured on a sample.
        bytes: of the lists.
    """

    recall_at_5: float | None
    bytes: int


@dataclass(frozen=True)
class _Filling:
    """What every worker is told.

    Attributes:
        states: folder that holds ``states.npy``, which each worker maps.
        replicate: whose states are indexed.
        folder: that is being written.
    """

    states: Path
    replicate: int
    folder: Path


def build_on_disk(
    settings: Index, kind: str, states: Path, replicate: int, rows: np.ndarray, out: Path, *, threads: int = 1
) -> ListsRecord:
    """Index states that need not fit into memory; no process holds more keys than ``SHARD_ROWS``.

    The engine of ``RAMER_ENGINE`` fills the shards; how many there are, and who fills them, changes no byte.

    Args:
        settings: sizes, as of an index in memory.
        kind: of ``KINDS_ON_DISK``.
        states: folder of ``states.npy``, float32 [replicates, rows, hidden].
        replicate: position of the replicate.
        rows: numbers of the rows to index, ascending.
        out: folder to write, whole or not at all.
        threads: of a worker.

    Raises:
        RetrievalError: another kind, no row, or a state that is zero or not finite.
        StaleError: there are no states.
    """
    if kind not in KINDS_ON_DISK or not len(rows):
        raise RetrievalError(f"lists on disk: expected rows and one of {', '.join(KINDS_ON_DISK)}, got {kind}")
    (held,) = map_arrays(states, "states")
    table = held[replicate]
    with sealed_directory(out) as folder:
        (folder / _PARTS).mkdir()
        np.save(folder / _ROWS, rows.astype(np.int64))
        index, chosen = new_index(settings, kind, len(rows), table.shape[1])
        train_index(index, settings, chosen, table, rows, np.arange(len(table)))
        faiss.write_index(index, str(folder / _PARTS / _INDEX))
        resources, work = engine.Resources(threads), _Filling(states, replicate, folder)
        starts = range(0, len(rows), SHARD_ROWS)
        files = engine.map(partial(_fill, work), starts, resources=resources, description=f"index {kind}")
        with _chatter_to_stderr():
            merge_ondisk(index, files, str(folder / _LISTS))
        shutil.rmtree(folder / _PARTS)
        recall = _chosen_recall(index, settings, chosen, table, rows)
        lists: Any = faiss.extract_index_ivf(index)
        merged: Any = faiss.downcast_InvertedLists(lists.invlists)
        merged.filename = _LISTS  # not the name that the folder has while it is written
        faiss.write_index(index, str(folder / _INDEX))
        about = ListsRecord(
            kind=kind,
            dimension=table.shape[1],
            settings=chosen,
            recall_at_5=recall,
            bytes=(folder / _LISTS).stat().st_size,
        )
        about.write(folder / _ABOUT)
    return about


def _fill(work: _Filling, start: int) -> str:
    """One shard's keys, added to the trained lists under their places; returns the file."""
    states = map_arrays(work.states, "states")[0][work.replicate]
    rows = np.load(work.folder / _ROWS, mmap_mode="r")[start : start + SHARD_ROWS]
    index = faiss.read_index(str(work.folder / _PARTS / _INDEX))
    for first in range(0, len(rows), BLOCK):
        block = np.asarray(rows[first : first + BLOCK])
        places = np.arange(start + first, start + first + len(block))
        index.add_with_ids(l2_normalise(states[block], refuse="key of row", ids=block), places)
    path = str(work.folder / _PARTS / f"{start}.faiss")
    faiss.write_index(index, path)
    return path


def _chosen_recall(
    index: Any, settings: Index, chosen: dict[str, int], states: np.ndarray, rows: np.ndarray
) -> float | None:
    """Recall on a sample, at as many visited lists as it asks for where the settings do not say."""
    asked = RecallSample.draw(states, rows, settings.seed)
    if asked is None:
        return None
    if settings.nprobe is None:
        chosen["nprobe"] = asked.fewest_lists(index, chosen["nlist"], settings.rerank)
    index.nprobe = chosen["nprobe"]
    return asked.recall(index, settings.rerank)


def open_on_disk(folder: Path) -> DatabaseIndex:
    """The index that ``build_on_disk`` left; its lists are read from the disk as they are visited.

    Raises:
        StaleError: a file is absent or torn.
    """
    about = ListsRecord.read(folder / _ABOUT)
    lists = folder / _LISTS
    if not lists.exists() or lists.stat().st_size != about.bytes:  # reading torn lists would end the process
        raise StaleError(f"{lists}: absent or torn", folder)
    try:
        with _chatter_to_stderr():
            index = faiss.read_index(str(folder / _INDEX), faiss.IO_FLAG_ONDISK_SAME_DIR)
    except RuntimeError:  # all that FAISS raises
        raise StaleError(f"{folder / _INDEX}: absent, torn, or no index of FAISS", folder) from None
    return DatabaseIndex(index, np.load(folder / _ROWS, mmap_mode="r"), about)


@contextmanager
def _chatter_to_stderr() -> Iterator[None]:
    """FAISS tells on stdout what it does with files, where a command's own output belongs."""
    sys.stdout.flush()
    flush = ctypes.CDLL(None).fflush
    flush(None)
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        flush(None)
        os.dup2(kept, 1)
        os.close(kept)
