"""What retrieval hands from step to step: lists of neighbours, what they point into, and those that were chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from ramer.modalities import MODALITIES
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.shuffle import Shuffle
from ramer.retrieval.states import row_norms


@dataclass(frozen=True)
class Rules:
    """How lists become stand-ins.

    Attributes:
        k: neighbours per missing modality.
        aggregate: similarity (softmax of score / tau), mean or sum.
        bimodal: of two available modalities: pooled, calibrated or kth_score.
        drop_first: the best candidate is thrown away (published).
        normalize_query: False scores by inner product with the raw query (published).
        normalize_values: False aggregates raw neighbour states (published).
        tau: temperature of ``similarity``.
    """

    k: int = 5
    aggregate: Literal["similarity", "mean", "sum"] = "similarity"
    bimodal: Literal["pooled", "calibrated", "kth_score"] = "pooled"
    drop_first: bool = False
    normalize_query: bool = True
    normalize_values: bool = True
    tau: float = 0.1


@runtime_checkable
class Rows(Protocol):
    """Vectors that are read by row number."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True)
class LiveSearch:
    """What a method needs that encodes and searches for itself.

    Attributes:
        features: per modality, indexable by the database's rows: standardised float32 [n, dim].
        indexes: per modality, of the encoder that made the states; none for a method with keys of its own.
        codes: exclusion codes [rows], read for queries that are rows themselves.
    """

    features: Mapping[str, Rows]
    indexes: Mapping[str, DatabaseIndex]
    codes: np.ndarray


@dataclass(frozen=True)
class Database:
    """What a neighbour can give, by row number.

    Attributes:
        states: per modality [rows, hidden], raw, may be memory-mapped.
        available: bool [rows, 3].
        labels: int [rows], -1 for none.
        shuffle: whose states and labels a found row hands out, None for its own.
        live: for methods that encode and search for themselves.
        known_norms: lengths of the states where somebody has computed them, float64 [rows] per modality.
    """

    states: dict[str, np.ndarray]
    available: np.ndarray
    labels: np.ndarray
    shuffle: Shuffle | None = None
    live: LiveSearch | None = None
    known_norms: dict[str, np.ndarray] | None = None

    @cached_property
    def norms(self) -> dict[str, np.ndarray]:
        """Length of every state, float64 [rows] per modality."""
        return self.known_norms or {m: row_norms(self.states[m]) for m in self.states}

    @property
    def live_search(self) -> LiveSearch:
        """``live`` of a database that has it.

        Raises:
            ValueError: this one has none.
        """
        if self.live is None:
            raise ValueError("database: expected features and indexes for a live search, got none")
        return self.live

    def contents(self, found: Int[np.ndarray, "n t k"], queries: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n t k"]:
        """The rows whose states and labels stand behind found rows: the same ones, unless the database is shuffled."""
        return found if self.shuffle is None else self.shuffle.contents(found, queries)


@dataclass(frozen=True)
class Lists:
    """Candidates of each modality's own space, best first.

    Attributes:
        rows: int [n, width] per modality, -1 for none.
        scores: cosine [n, width] per modality, NaN for none.
    """

    rows: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]

    @classmethod
    def empty(cls, n: int, width: int) -> Lists:
        rows = {m: np.full((n, width), -1, dtype=np.int32) for m in MODALITIES}
        return cls(rows, {m: np.full((n, width), np.nan, dtype=np.float32) for m in MODALITIES})

    @property
    def width(self) -> int:
        return int(next(iter(self.rows.values())).shape[1])

    def take(self, index: np.ndarray | slice) -> Lists:
        return Lists({m: r[index] for m, r in self.rows.items()}, {m: s[index] for m, s in self.scores.items()})

    def masked(self, available: np.ndarray) -> Lists:
        """Lists of what is available alone; bool [n, 3]."""
        held = {m: available[:, i, None] for i, m in enumerate(MODALITIES)}
        rows = {m: np.where(held[m], r, -1) for m, r in self.rows.items()}
        return Lists(rows, {m: np.where(held[m], s, np.float32(np.nan)) for m, s in self.scores.items()})


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of a batch.

    Attributes:
        lists: of the modalities that are available.
        database: what the lists point into.
    """

    lists: Lists
    database: Database


@dataclass(frozen=True)
class Queries:
    """Who asks.

    Attributes:
        states: raw [n, hidden] per modality, NaN where masked.
        available: bool [n, 3].
        rows: int64 [n], corpus rows of the queries, -1 for a clip that is not in the corpus; None for such clips alone.
    """

    states: dict[str, np.ndarray]
    available: np.ndarray
    rows: np.ndarray | None = None

    @property
    def numbers(self) -> np.ndarray:
        """``rows``, int64 [n]."""
        return np.full(len(self.available), -1) if self.rows is None else self.rows

    def take(self, index: np.ndarray | slice) -> Queries:
        states = {m: s[index] for m, s in self.states.items()}
        return Queries(states, self.available[index], self.numbers[index])


class Candidates(NamedTuple):
    """One list per query row, best first.

    Attributes:
        rows: int64 [n, c], -1 for none.
        scores: float64 [n, c], NaN for none.
    """

    rows: np.ndarray
    scores: np.ndarray


class Selected(NamedTuple):
    """The neighbours used per target modality.

    Attributes:
        rows: int64 [n, 3, k], -1 for none.
        scores: float64 [n, 3, k], NaN for none.
    """

    rows: np.ndarray
    scores: np.ndarray

    @property
    def retrieved(self) -> np.ndarray:
        """bool [n, 3]: at least one neighbour was found for that target."""
        return np.asarray((self.rows >= 0).any(axis=2))
