"""Inverted lists on disk: trained once, filled in shards by several workers, merged without being held in memory.

They are, list by list, those of an index that is filled in memory; the file beside the index holds them, and searching
reads the lists that it visits.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from faiss.contrib.ondisk import merge_ondisk

from ramer import engine
from ramer.config import Index
from ramer.errors import RetrievalError
from ramer.retrieval.index_kinds import BLOCK, measure_recall, new_index, train_index, write_faiss
from ramer.retrieval.indexed_rows import IndexedRows
from ramer.retrieval.states import l2_normalise, map_arrays

KINDS_ON_DISK = ("ivf_flat", "ivf_pq")
ENDING = ".ivfdata"
SHARD_NUMBERS = 32_000_000  # of the keys that a worker holds at a time: 128 MB, and what FAISS' vectors grow by
_TRAINED, _ROWS = "trained.faiss", "rows.npy"
_NUMBER = 8  # bytes of a key's place in its list


class States(NamedTuple):
    """Where the keys come from: every worker maps the file.

    Attributes:
        folder: of ``states.npy``, float32 [replicates, rows, hidden].
        replicate: position of the replicate.
    """

    folder: Path
    replicate: int

    def read(self) -> np.ndarray:
        """Raw states by row number, memory-mapped [rows, hidden].

        Raises:
            StaleError: absent or torn.
        """
        (states,) = map_arrays(self.folder, "states")
        return states[self.replicate]


def lists_of(index: Path) -> Path:
    """Where the lists of an index are that has them on disk: moved together, they stay together."""
    return index.with_suffix(ENDING)


def fill_on_disk(
    settings: Index,
    kind: str,
    states: States,
    named: IndexedRows,
    ids: np.ndarray,
    path: Path,
    *,
    codes: np.ndarray | None = None,
    threads: int = 1,
) -> tuple[faiss.Index, dict[str, int], float | None]:
    """What ``fill_index`` makes, with the lists in a file; no process holds more keys than ``SHARD_NUMBERS`` are.

    The engine of ``RAMER_ENGINE`` fills the shards; how many there are, and who fills them, changes no byte.

    Args:
        settings: sizes, as of an index in memory.
        kind: of ``KINDS_ON_DISK``.
        named: the rows to index. ids: names by row number.
        path: of the index, which is not written; the lists are, beside it.
        codes: by row number, of what a query must not find; None: only itself.
        threads: of a worker.

    Returns:
        The index, its settings and its recall on a sample.

    Raises:
        RetrievalError: another kind, no row, or a state that is zero or not finite.
        OSError: the disk has no room for the lists.
        StaleError: there are no states.
    """
    if kind not in KINDS_ON_DISK or not len(named):
        raise RetrievalError(f"lists on disk: expected rows and one of {', '.join(KINDS_ON_DISK)}, got {kind}")
    table, lists, parts = states.read(), lists_of(path), path.with_suffix(".shards")
    parts.mkdir()
    np.save(parts / _ROWS, named.rows)
    named.write(parts / _ROWS)
    index, chosen = new_index(settings, kind, len(named), table.shape[1])
    train_index(index, settings, chosen, table, named.rows, ids)
    write_faiss(index, parts / _TRAINED)
    starts = range(0, len(named), max(BLOCK, SHARD_NUMBERS // table.shape[1]))
    fill, resources = partial(_fill, states, parts, starts.step), engine.Resources(threads)
    shards = engine.map(fill, starts, resources=resources, description=f"index {path.stem}")
    _check_room(lists, index, len(named))
    with _chatter_to_stderr():
        merge_ondisk(index, shards, str(lists))
    shutil.rmtree(parts)
    recall = measure_recall(index, settings, chosen, table, named.rows, codes)
    merged: Any = faiss.downcast_InvertedLists(_ivf(index).invlists)
    merged.filename = lists.name  # not the folder's: it has another name while it is written
    return index, chosen, recall


def _fill(states: States, parts: Path, size: int, start: int) -> str:
    """One shard's keys, added to the trained lists under their places; returns the file."""
    table, index = states.read(), faiss.read_index(str(parts / _TRAINED))
    rows = np.load(parts / _ROWS, mmap_mode="r")[start : start + size]
    for first in range(0, len(rows), BLOCK):
        block = np.asarray(rows[first : first + BLOCK])
        places = np.arange(start + first, start + first + len(block))
        index.add_with_ids(_unit(table[block], parts, places), places)
    shard = parts / f"{start}.faiss"
    write_faiss(index, shard)
    return str(shard)


def _unit(keys: np.ndarray, parts: Path, places: np.ndarray) -> np.ndarray:
    try:
        return l2_normalise(keys, refuse="key of row")
    except RetrievalError:  # names are read where there is something to say of one
        names = IndexedRows.read_unchecked(parts / _ROWS).ids.take(places).to_pylist()
        return l2_normalise(keys, refuse="key of row", ids=names)


def _check_room(lists: Path, index: faiss.Index, keys: int) -> None:
    """FAISS writes into mapped memory: where the disk is full, the process ends without a word."""
    needed, free = keys * (_ivf(index).code_size + _NUMBER), shutil.disk_usage(lists.parent).free
    if needed > free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(lists))


def read_on_disk(path: Path) -> faiss.Index:
    """An index whose lists are beside it, which is searched and takes no keys.

    Raises:
        RuntimeError: FAISS cannot read it.
    """
    with _chatter_to_stderr():
        return faiss.read_index(str(path), faiss.IO_FLAG_ONDISK_SAME_DIR | faiss.IO_FLAG_READ_ONLY)


def _ivf(index: faiss.Index) -> Any:  # the stubs lack the class' attributes
    return faiss.extract_index_ivf(index)


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
