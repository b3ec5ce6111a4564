"""Streams of features onto disk: block by block, checked on the way, so that memory does not grow with the corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ramer.data.corpus import BLOCK_ROWS, FeatureSource, RawCorpus, cut_faults
from ramer.errors import CorpusError
from ramer.modalities import MODALITIES
from ramer.progress import track


@dataclass(frozen=True)
class WrittenFeatures:
    """What was written.

    Attributes:
        dims: length of a vector per modality, 0 where the corpus lacks it.
        available: whether a row holds a modality, bool [rows, 3].
        zeros: whether it lacks one because its vector was all zeros, and not for want of a vector, bool [rows, 3].
        digest: of the features.
        notes: what a reader should know.
    """

    dims: dict[str, int]
    available: np.ndarray
    zeros: np.ndarray
    digest: str
    notes: tuple[str, ...]


def write_features(corpus: RawCorpus, folder: Path) -> WrittenFeatures:
    """Write ``<modality>.npy`` float32 [rows, dim] into ``folder``; a missing row becomes NaN.

    Raises:
        CorpusError: a row is infinite or partly NaN, or its source cannot be read; one line per fault.
    """
    dims, notes, faults = {}, [], []
    available = np.zeros((corpus.rows, len(MODALITIES)), dtype=bool)
    zeros = np.zeros_like(available)
    sha = hashlib.sha256()
    for column, modality in enumerate(MODALITIES):
        source, path = corpus.sources[modality], folder / f"{modality}.npy"
        if source is not None:
            faults += _write_source(corpus, source, path, (available[:, column], zeros[:, column]), sha.update)
            if not available[:, column].any() and not faults:
                notes.append(f"{modality}: every row is missing, treated as absent from the corpus")
        absent = source is None or not available[:, column].any()
        if absent:
            np.save(path, np.zeros((corpus.rows, 0), dtype=np.float32))
        dims[modality] = 0 if source is None or absent else source.dim
    if faults:
        raise CorpusError(cut_faults(faults))
    if not available.any():
        raise CorpusError(f"{corpus.source}: no row holds any modality")
    return WrittenFeatures(dims, available, zeros, sha.hexdigest(), tuple(notes))


def read_blocks(path: Path, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of the named rows of a written modality, float32 [n, dim]."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield np.load(path, mmap_mode="r")[rows[start : start + BLOCK_ROWS]]


def _write_source(
    corpus: RawCorpus,
    source: FeatureSource,
    path: Path,
    columns: tuple[np.ndarray, np.ndarray],
    digest: Callable[[memoryview], None],
) -> list[str]:
    """Fill one file and its columns of ``available`` and ``zeros`` (in place).

    Faults are returned, not raised, to report them all.
    """
    available, zeros = columns
    faults: list[str] = []
    start = 0
    try:
        # Written, not mapped: pages of a map would count as this process's memory until the whole file is in it.
        with open(path, "wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (corpus.rows, source.dim)}
            np.lib.format.write_array_header_1_0(file, header)
            for block in track(source.blocks(), source.origin, -(-corpus.rows // BLOCK_ROWS)):
                faults += _block_faults(corpus, source, block, start)
                empty = (block == 0).all(axis=1)
                missing = np.isnan(block).all(axis=1) | empty
                block = np.where(missing[:, None], np.float32(np.nan), block).astype("<f4", order="C")
                file.write(block.data)
                available[start : start + len(block)] = ~missing
                zeros[start : start + len(block)] = empty
                digest(block.data)
                start += len(block)
    except CorpusError as error:
        return [*faults, *error.faults]
    return faults


def _block_faults(corpus: RawCorpus, source: FeatureSource, block: np.ndarray, start: int) -> list[str]:
    nan = np.isnan(block)
    infinite = np.flatnonzero(np.isinf(block).any(axis=1))
    partly = np.flatnonzero(nan.any(axis=1) & ~nan.all(axis=1))
    return [
        *(
            f"{source.origin}: {corpus.where(start + int(r))}: infinite value, expected finite numbers"
            for r in infinite
        ),
        *(f"{source.origin}: {corpus.where(start + int(r))}: partly NaN, expected all or none" for r in partly),
    ]
