"""Feature folders of MERBench: one small ``.npy`` per clip, read in parallel and kept so that a broken run resumes.

What the benchmark's own reader accepts is read the same: axes of length 1 are dropped, what then has two axes is frames
and is averaged, and a clip may be a folder with one file per frame. Beyond it, frames of zeros before the first and
behind the last other one are padding and left out of the mean.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np

from ramer.array_files import map_new_array
from ramer.data.clip_vectors import frame_files, load_vector
from ramer.data.corpus import BLOCK_ROWS
from ramer.data.folders import FolderWalk
from ramer.data.npy import UNREADABLE
from ramer.data.pairing import Pairing, pair_names
from ramer.errors import CorpusError, raise_if_scarce
from ramer.opening import told_links

_READERS = 8  # threads; the work is waiting for the disk
_ABSENT = (-1, -1)
_FIRST = 5  # vectors that tell the length of all
_FRAME = re.compile(r"frame[a-z_-]*[\d_-]*\d", re.I)  # as OpenFace names them: frame_det_00_000001
_Stamp = tuple[int, int]


class FolderSource:
    """One modality as a folder of ``<clip>.npy``, or of folders ``<clip>`` with one file per frame.

    A clip's name may hold sub-folders: ``s1/y`` is ``s1/y.npy``.

    What has been read lies in ``cache``, with size and time of each file: only what is new or has changed is read.

    Attributes:
        origin: the folder. dim: length of a vector. notes: which clips have no file and which files no clip.

    Raises:
        CorpusError: no folder, no readable file, or hardly any clip has a file while files have no clip.
    """

    def __init__(self, folder: Path, ids: np.ndarray, cache: Path) -> None:
        self.origin = str(folder)
        self._folder, self._ids, self._cache = folder, ids, cache
        if not folder.is_dir():
            raise CorpusError(f"{folder}: no such folder, expected one .npy file per clip")
        walk = FolderWalk(folder, set(ids))
        held = set(clip_paths(walk))
        try:
            walk.raise_if_shut()
        except OSError as error:
            raise CorpusError(f"{error.filename or folder}: cannot be read: {error.strerror}") from None
        pairing = pair_names(ids, held)
        if pairing.hardly_any or not held.intersection(ids):
            raise CorpusError(self._unpaired(pairing))
        self.dim = self._first_dim(held)
        told = pairing.unmatched or pairing.unused
        notes = [pairing.said("clips", "feature files")] if told else []
        self.notes = tuple(f"{folder}: {line}" for line in (*notes, *told_links(walk.links)))

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
        """Stamp of a clip's file or folder, its vector unless it is known already, and what is wrong with it."""
        path, stamp = _find(self._folder, clip)
        if stamp == known:
            return stamp, None, None
        if stamp == _ABSENT:
            return stamp, np.full(self.dim, np.nan, np.float32), None
        try:
            return stamp, self._vector(load_vector(path)), None
        except ValueError as error:
            return stamp, None, f"{path}: {error}"

    def _vector(self, vector: np.ndarray | None) -> np.ndarray:
        if vector is None:
            return np.full(self.dim, np.nan, np.float32)
        if len(vector) != self.dim:
            raise ValueError(f"expected a vector of {self.dim} numbers as most of the first files, got {len(vector)}")
        return vector

    def _unpaired(self, pairing: Pairing) -> str:
        if not pairing.held:
            return f"{self._folder}: none of the {pairing.wanted} clips has a file here, expected <clip>.npy"
        return f"{self._folder}: {pairing.said('clips', 'feature files')}"

    def _first_dim(self, held: set[str]) -> int:
        """The length of most of the first vectors: one that is odd must not make all others faults."""
        fault = f"{self._folder}: every file is empty, expected vectors"
        lengths: Counter[int] = Counter()
        for clip in self._ids:
            if clip not in held:
                continue
            path, _ = _find(self._folder, clip)
            try:
                vector = load_vector(path)
            except ValueError as error:
                fault = f"{self._folder}: no readable file, the last was {path.name}: {error}"
                continue
            lengths.update([] if vector is None else [len(vector)])
            if lengths.total() == _FIRST:
                break
        if not lengths:
            raise CorpusError(fault)
        return lengths.most_common(1)[0][0]


def clip_paths(walk: FolderWalk) -> dict[str, Path]:
    """Clips to their file, or else their folder of frames, which the walk knows as a leaf."""
    names = list(walk)
    found = {name.removesuffix("/"): walk.folder / name for name in names if name.endswith("/")}
    return found | {name.removesuffix(".npy"): walk.folder / name for name in names if name.endswith(".npy")}


def frame_folders(folders: Collection[Path], every: bool = False) -> set[str]:
    """Sub-folders of feature folders that hold one file per frame, where nothing says which clips there are.

    These are the ones whose clip has a file in another of the folders, and those that hold frames by their names.

    Args:
        every: all that hold files are.
    """
    held = [set(clip_paths(FolderWalk(folder))) for folder in folders]
    above = [_by_parent(clips) for clips in held]
    parents = set().union(*above) - {""}
    if every:
        return parents
    named = {parent for found in above for parent, last in found.items() if all(map(_FRAME.fullmatch, last))}
    return named & parents | parents & set().union(*held)


def _by_parent(clips: Collection[str]) -> dict[str, list[str]]:
    """Names behind the last slash by what stands before it."""
    found: dict[str, list[str]] = {}
    for clip in clips:
        parent, _, last = clip.rpartition("/")
        found.setdefault(parent, []).append(last)
    return found


def _find(folder: Path, clip: str) -> tuple[Path, _Stamp]:
    """A clip's file, or else its folder of frames, with latest time and size; ``_ABSENT`` where it has neither."""
    path = folder / f"{clip}.npy"
    try:
        status = os.stat(path)
        return path, (status.st_mtime_ns, status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        path = folder / clip
    try:
        if not path.is_dir():
            return path, _ABSENT
        found = [path.stat(), *(frame.stat() for frame in frame_files(path))]
    except (FileNotFoundError, NotADirectoryError):  # taken away meanwhile, or a link to nothing
        return path, _ABSENT
    return path, (max(status.st_mtime_ns for status in found), sum(status.st_size for status in found))


def _memmap(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    """A memory map that is opened where it fits and made, all zero, where it does not."""
    if path.exists():
        try:
            array = np.lib.format.open_memmap(path, mode="r+")
            if array.dtype == dtype and array.shape == shape:
                return array
        except UNREADABLE as error:
            raise_if_scarce(error)
            path.unlink()
    return map_new_array(path, dtype, shape)
