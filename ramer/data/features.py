"""Streams of features onto disk: block by block, checked on the way, so that memory does not grow with the corpus."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from ramer.data.corpus import BLOCK_ROWS, FeatureSource, RawCorpus
from ramer.errors import CorpusError
from ramer.modalities import MODALITIES

FAULT_LIMIT = 20  # faults shown; the rest is counted
T = TypeVar("T")


@dataclass(frozen=True)
class WrittenFeatures:
    """What was written: dims (0 = the corpus lacks the modality), availability bool [rows, 3], digest, notes."""

    dims: dict[str, int]
    available: np.ndarray
    digest: str
    notes: tuple[str, ...]


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass ``items`` on under a progress bar, which a short job or a log file never sees."""
    watched = sys.stderr.isatty()
    yield from tqdm(items, total=total, desc=what, file=sys.stderr, leave=False, delay=1, disable=not watched)


def cut_faults(faults: list[str]) -> list[str]:
    """At most ``FAULT_LIMIT`` faults and a count of the rest."""
    rest = len(faults) - FAULT_LIMIT
    return faults if rest <= 0 else [*faults[:FAULT_LIMIT], f"... and {rest} faults more"]


def write_features(corpus: RawCorpus, folder: Path) -> WrittenFeatures:
    """Write ``<modality>.npy`` float32 [rows, dim] into ``folder``; a missing row becomes NaN.

    Raises:
        CorpusError: a row is infinite or partly NaN, or a source holds another number of rows; one line per fault.
    """
    dims, notes, faults = {}, [], []
    available = np.zeros((corpus.rows, len(MODALITIES)), dtype=bool)
    sha = hashlib.sha256()
    for column, modality in enumerate(MODALITIES):
        source, path = corpus.sources[modality], folder / f"{modality}.npy"
        if source is not None:
            faults += _write_source(corpus, source, path, available[:, column], sha)
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
    return WrittenFeatures(dims, available, sha.hexdigest(), tuple(notes))


def read_blocks(features: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of the named rows of a memory map, float32 [n, dim]."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield features[rows[start : start + BLOCK_ROWS]]


def _write_source(
    corpus: RawCorpus, source: FeatureSource, path: Path, available: np.ndarray, sha: hashlib._Hash
) -> list[str]:
    """Fill one file and its column of ``available`` (in place); faults are returned, not raised, to report them all."""
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(corpus.rows, source.dim))
    faults: list[str] = []
    start = 0
    total = -(-corpus.rows // BLOCK_ROWS)
    for block in progress(source.blocks(), total, source.origin):
        nan = np.isnan(block)
        missing = nan.all(axis=1) | (block == 0).all(axis=1)
        for row in np.flatnonzero(np.isinf(block).any(axis=1)):
            faults.append(f"{source.origin}: {corpus.where(start + row)}: infinite value, expected finite numbers")
        for row in np.flatnonzero(nan.any(axis=1) & ~nan.all(axis=1)):
            faults.append(
                f"{source.origin}: {corpus.where(start + row)}: partly NaN, expected a whole vector or all NaN"
            )
        block = np.where(missing[:, None], np.float32(np.nan), block)
        out[start : start + len(block)] = block
        available[start : start + len(block)] = ~missing
        sha.update(np.ascontiguousarray(block))
        start += len(block)
    out.flush()
    if start != corpus.rows:
        faults.append(f"{source.origin}: expected {corpus.rows} rows, found {start}")
    return faults
