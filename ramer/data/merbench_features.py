"""Feature folders of MERBench: one small ``.npy`` per clip, read in parallel and kept so that a broken run resumes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np

from ramer.data.corpus import BLOCK_ROWS
from ramer.data.npy import UNREADABLE, read_array
from ramer.errors import CorpusError

_READERS = 8  # threads; the work is waiting for the disk
_ABSENT = (-1, -1)
_Stamp = tuple[int, int]


class FolderSource:
    """One modality as a folder of files ``<clip>.npy``, (dim,) or (frames, dim) and then averaged over frames.

    A clip's name may hold sub-folders: ``s1/y`` is ``s1/y.npy``.

    What has been read lies in ``cache``, with size and time of each file: only what is new or has changed is read.
    """

    def __init__(self, folder: Path, ids: np.ndarray, cache: Path) -> None:
        self.origin = str(folder)
        self._folder, self._ids, self._cache = folder, ids, cache
        self.dim = self._first_dim()

    def blocks(self) -> Iterator[np.ndarray]:
        """Float32 blocks; an absent or empty file and a zero vector give a row that is missing.

        Raises:
            CorpusError: after the last row, with one line per file that is damaged or of another shape.
        """
        rows = len(self._ids)
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        faults: list[str] = []
        with ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, rows, BLOCK_ROWS):
                part = slice(start, min(start + BLOCK_ROWS, rows))
                # Mapped anew for every block: pages of a map count as memory until it is closed.
                features = _memmap(self._cache.with_suffix(".npy"), np.float32, (rows, self.dim))
                stamps = _memmap(self._cache.with_suffix(".stamps.npy"), np.int64, (rows, 2))
                # A few files to a task: a task of its own costs as much as reading a small file.
                parts = [np.array_split(a, _READERS * 4) for a in (self._ids[part], np.array(stamps[part]))]
                read = list(chain.from_iterable(pool.map(self._read_some, *parts)))
                fresh = np.zeros((len(read), 2), dtype=np.int64)
                for row, (stamp, vector, fault) in enumerate(read):
                    if fault:
                        faults.append(fault)
                        continue
                    fresh[row] = stamp
                    if vector is not None:
                        features[start + row] = vector
                # A stamp says that the vector is there, so it is written after it.
                features.flush()
                stamps[part] = fresh
                yield np.array(features[part])
        if faults:
            raise CorpusError(faults)

    def _read_some(self, clips: np.ndarray, known: np.ndarray) -> list[tuple[_Stamp, np.ndarray | None, str | None]]:
        return [self._read(clip, (time, size)) for clip, (time, size) in zip(clips, known.tolist(), strict=True)]

    def _read(self, clip: str, known: _Stamp) -> tuple[_Stamp, np.ndarray | None, str | None]:
        """Stamp of a clip's file, its vector unless it is known already, and what is wrong with it."""
        path = self._folder / f"{clip}.npy"
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return _ABSENT, None if known == _ABSENT else np.full(self.dim, np.nan, np.float32), None
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp == known:
            return stamp, None, None
        try:
            return stamp, self._vector(load_vector(path)), None
        except ValueError as error:
            return stamp, None, f"{path}: {error}"

    def _vector(self, vector: np.ndarray | None) -> np.ndarray:
        if vector is None:
            return np.full(self.dim, np.nan, np.float32)
        if len(vector) != self.dim:
            raise ValueError(f"expected a vector of {self.dim} numbers as in the files before it, got {len(vector)}")
        return vector

    def _first_dim(self) -> int:
        if not self._folder.is_dir():
            raise CorpusError(f"{self._folder}: no such folder, expected one .npy file per clip")
        fault = f"{self._folder}: none of the {len(self._ids)} clips has a file here, expected <clip>.npy"
        for clip in self._held():
            try:
                vector = load_vector(self._folder / f"{clip}.npy")
            except ValueError as error:
                fault = f"{self._folder}: no readable file, the last was {clip}.npy: {error}"
                continue
            if vector is not None:
                return len(vector)
            fault = f"{self._folder}: every file is empty, expected vectors"
        raise CorpusError(fault)

    def _held(self) -> Iterator[str]:
        """Clips that have a file; each sub-folder is listed once, which is less than a look for every clip."""
        listed: dict[str, set[str]] = {}
        for clip in self._ids:
            parent, _, name = clip.rpartition("/")
            if parent not in listed:
                folder = self._folder / parent
                listed[parent] = set(os.listdir(folder)) if folder.is_dir() else set()
            if f"{name}.npy" in listed[parent]:
                yield clip


def load_vector(path: Path) -> np.ndarray | None:
    """A clip's float32 vector [dim], the mean of its frames where the file holds frames; None where it holds nothing.

    Raises:
        ValueError: damaged, not numbers, of another rank, or not finite.
    """
    array = read_array(path)
    if array.dtype.kind not in "fiu":
        raise ValueError("expected an array of numbers")
    if array.ndim not in (1, 2):
        raise ValueError(f"expected shape [dim] or [frames, dim], got {list(array.shape)}")
    if array.size == 0 or np.isnan(array).all():
        return None
    with np.errstate(over="ignore"):
        vector = (array if array.ndim == 1 else array.mean(axis=0, dtype=np.float64)).astype(np.float32)
    if not np.isfinite(vector).all():
        raise ValueError("infinite or partly NaN, expected finite numbers")
    return vector


def _memmap(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    """A memory map that is opened where it fits and made, all zero, where it does not."""
    if path.exists():
        try:
            array = np.lib.format.open_memmap(path, mode="r+")
            if array.dtype == dtype and array.shape == shape:
                return array
        except UNREADABLE:
            path.unlink()
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
