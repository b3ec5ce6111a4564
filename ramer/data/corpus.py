"""A corpus as its reader found it: rows in memory, features as streams, nothing judged yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ramer.modalities import MODALITIES

BLOCK_ROWS = 1024  # rows held in memory at a time, whatever the size of the corpus
UNLABELLED = -1
FAULT_LIMIT = 20  # faults shown; the rest is counted


@runtime_checkable
class FeatureSource(Protocol):
    """One modality's raw vectors, read in row order; an all-NaN or all-zero row is a missing one.

    Attributes:
        origin: the file or folder that a fault is reported against.
        dim: length of a vector.
    """

    origin: str
    dim: int

    def blocks(self) -> Iterator[np.ndarray]:
        """Consecutive float32 blocks [n, dim] that together hold every row once."""
        ...


@dataclass(frozen=True)
class RawCorpus:
    """Rows of a corpus and streams of their features, in one row order.

    Attributes:
        name: what results call the corpus.
        source: the file that a fault in its rows is reported against.
        ids: str [rows].
        speakers: str or None [rows], the group that no split and no neighbour list may share.
        labels: int64 [rows], positions in ``label_names``, ``UNLABELLED`` where there is none.
        splits: str [rows], train, val, test or pool; None where the corpus names no split.
        sources: per modality its stream, None where the corpus lacks it.
        group_name: what ``speakers`` holds (speaker, video, dialogue, session), None where nothing.
        expected: what a fault says that a corpus without any modality should have held.
        provenance: where it came from, for ``corpus.json``.
        notes: what a reader of results should know.
        release: frees what the reader kept on disk, called once the corpus is written.
    """

    name: str
    source: str
    ids: np.ndarray
    speakers: np.ndarray
    labels: np.ndarray
    label_names: tuple[str, ...]
    splits: np.ndarray | None
    sources: dict[str, FeatureSource | None]
    group_name: str | None = None
    expected: str = ", ".join(MODALITIES)
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    release: Callable[[], None] = lambda: None

    @property
    def rows(self) -> int:
        return len(self.ids)

    def where(self, row: int) -> str:
        """Name a row in a fault: number from 0 and id."""
        return f"row {row} (id {str(self.ids[row])!r})"


def strings(values: Iterable[Any]) -> np.ndarray:
    """An object array of str; None, empty and NaN become None."""
    cleaned = [None if v is None or v != v or str(v).strip() == "" else str(v) for v in values]
    out = np.empty(len(cleaned), dtype=object)
    out[:] = cleaned
    return out


def cut_faults(faults: list[str], many: int | None = None) -> list[str]:
    """At most ``FAULT_LIMIT`` faults and a count of the rest.

    Args:
        many: there are, where only the first of them were kept.
    """
    rest = (len(faults) if many is None else many) - FAULT_LIMIT
    return faults if rest <= 0 else [*faults[:FAULT_LIMIT], f"... and {rest} faults more"]
