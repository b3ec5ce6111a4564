"""What ``prepare`` writes, read back: the one corpus format that every later stage knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ramer.data.corpus_record import CORPUS_FILE, CorpusRecord
from ramer.errors import StaleError
from ramer.files import digest_strings
from ramer.modalities import MODALITIES

CLIP = 10.0  # standardised features are clipped to +-CLIP; a wild value must not own the encoder
SPLITS: tuple[str, ...] = ("train", "val", "test", "pool")


@dataclass(frozen=True)
class Replicate:
    """One (fold, seed) pair; ``index`` is its position in every array with a replicate axis."""

    index: int
    fold: int
    seed: int

    @property
    def name(self) -> str:
        return f"fold{self.fold}_seed{self.seed}"


@dataclass(frozen=True)
class Scaler:
    """Standardisation fitted on a replicate's labelled training rows.

    Attributes:
        mean, std: float32 [dim]; a constant column has std 1.
    """

    mean: np.ndarray
    std: np.ndarray

    def apply(self, raw: np.ndarray) -> np.ndarray:
        """Standardise and clip raw vectors [n, dim]; NaN rows stay NaN."""
        scaled = (np.asarray(raw, dtype=np.float32) - self.mean) / self.std
        return np.clip(scaled, -CLIP, CLIP, out=scaled)


@dataclass(frozen=True)
class StandardisedRows:
    """Rows of raw vectors, standardised when they are read; ``raw`` may be memory-mapped."""

    raw: np.ndarray
    scaler: Scaler

    @property
    def shape(self) -> tuple[int, ...]:
        return self.raw.shape

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.scaler.apply(self.raw[rows])


class PreparedCorpus:
    """``data/prepared`` with features memory-mapped.

    Attributes:
        info: ``corpus.json``.
        ids: str [rows].
        speakers: str [rows], None where unnamed.
        groups: int64 [rows], the speaker's number or -1 where unnamed.
        available: bool [rows, 3], naturally held modalities in the order of ``MODALITIES``.
        split_codes: int8 [replicates, rows], positions in ``SPLITS``.

    Example:
        >>> corpus = PreparedCorpus.open(project / "data" / "prepared")
        >>> corpus.dims["audio"], corpus.classes, len(corpus.replicates)
        (10, 6, 2)
    """

    def __init__(self, path: Path, rows: pa.Table, splits: pa.Table) -> None:
        self.path = path
        self.info = CorpusRecord.read(path / CORPUS_FILE)
        self.name = self.info.name
        self.label_names = self.info.label_names
        self.dims = {m: self.info.dims[m] for m in MODALITIES}
        self.replicates = tuple(Replicate(i, r.fold, r.seed) for i, r in enumerate(self.info.replicates))
        # Through lists: Arrow's own conversion to NumPy loads pandas.
        self.ids: np.ndarray = np.array(rows["id"].to_pylist(), dtype=object)
        self.groups, names = _numbered(rows["speaker"].to_pylist())
        # One string for all rows of a speaker, not one each: 60 bytes a row less.
        self.speakers: np.ndarray = np.array([*names, None], dtype=object)[self.groups]
        self.available: np.ndarray = np.array(
            [rows[f"available_{m}"].to_pylist() for m in MODALITIES], dtype=bool
        ).T.copy()
        self.available.setflags(write=False)
        labels = {name: i for i, name in enumerate(self.label_names)}
        self._labels: np.ndarray = np.fromiter((labels.get(name, -1) for name in rows["label"].to_pylist()), np.int64)
        order = {name: i for i, name in enumerate(SPLITS)}
        self.split_codes: np.ndarray = np.stack(
            [np.fromiter((order[name] for name in splits[r.name].to_pylist()), np.int8) for r in self.replicates]
        )
        self.split_codes.setflags(write=False)

    @classmethod
    def open(cls, path: str | Path) -> PreparedCorpus:
        """Open a prepared corpus; features stay on disk.

        Raises:
            StaleError: there is none.
        """
        path = Path(path)
        if not (path / CORPUS_FILE).exists():
            raise StaleError(f"{path}: no prepared corpus here", path)
        corpus = cls(path, *(pq.ParquetFile(path / f"{name}.parquet").read() for name in ("rows", "splits")))
        pa.default_memory_pool().release_unused()  # as much as the corpus itself, which Arrow would keep for later
        return corpus

    def __reduce__(self) -> tuple[Callable[[Path], PreparedCorpus], tuple[Path]]:
        """Another process opens it itself: features of any size stay where they are."""
        return PreparedCorpus.open, (self.path,)

    @property
    def classes(self) -> int:
        return len(self.label_names)

    @property
    def rows(self) -> int:
        return len(self.ids)

    @cached_property
    def ids_digest(self) -> str:
        """Digest of the ids in row order: states and indexes carry it, so misaligned files are refused."""
        return digest_strings(self.ids)

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        """Raw features per modality, memory-mapped float32 [rows, dim]; NaN rows where missing."""
        return {m: np.load(self.path / f"{m}.npy", mmap_mode="r") for m in MODALITIES}

    def scaler(self, modality: str, replicate: Replicate) -> Scaler:
        with np.load(self.path / "scalers.npz") as file:
            return Scaler(file[f"{modality}_mean"][replicate.index], file[f"{modality}_std"][replicate.index])

    def rows_in(self, replicate: Replicate, *splits: str) -> np.ndarray:
        """Sorted row numbers of the named splits in a replicate, int64."""
        codes = [SPLITS.index(s) for s in splits]
        return np.flatnonzero(np.isin(self.split_codes[replicate.index], codes))

    def labels(self, replicate: Replicate) -> np.ndarray:
        """Class numbers [rows], -1 for pool rows: a label that the budget hides cannot be read."""
        hidden = self.split_codes[replicate.index] == SPLITS.index("pool")
        return np.where(hidden, -1, self._labels)

    def labelled_rows(self) -> np.ndarray:
        """Rows that are train, val or test in any replicate: the query rows of ``retrieval.queries: labelled``."""
        return np.flatnonzero((self.split_codes != SPLITS.index("pool")).any(axis=0))

    def standardised(self, modality: str, replicate: Replicate, rows: np.ndarray) -> np.ndarray:
        """Standardised, clipped features of ``rows``, float32 [n, dim]; NaN rows where missing."""
        return self.scaler(modality, replicate).apply(self.features[modality][rows])


def _numbered(names: list[str | None]) -> tuple[np.ndarray, list[str]]:
    """Numbers of names in the order in which they first come, int64 [n], -1 for none; and the names."""
    number: dict[str, int] = {}
    numbers = np.fromiter((-1 if name is None else number.setdefault(name, len(number)) for name in names), np.int64)
    return numbers, list(number)
