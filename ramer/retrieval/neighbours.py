"""Neighbour lists of every query row, found once: batched, the row itself and its speaker excluded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from ramer.data.prepared import Replicate
from ramer.errors import RetrievalError, StaleError
from ramer.records import Record
from ramer.retrieval.states import StatesTable, map_arrays

NEIGHBOURS_FILE = "neighbours.json"


class NeighboursRecord(Record):
    """``neighbours.json``.

    Attributes:
        modality: in whose space was searched.
        width: of the lists.
        exclude, scope, queries: as in ``retrieval`` of the parameters.
        encoder_digests, ids_digest, crossfit_digests: those of the states that were searched.
        database_rows: of each replicate's database.
        excluded_rows: of it that some training row must not find, at the most, by replicate.
    """

    later: ClassVar[frozenset[str]] = frozenset({"format", "crossfit_digests"})

    modality: str
    width: int
    exclude: str
    scope: str
    queries: str
    encoder_digests: dict[str, str]
    ids_digest: str
    crossfit_digests: dict[str, str] = Field(default_factory=dict)
    database_rows: dict[str, int]
    excluded_rows: dict[str, int]


@dataclass(frozen=True)
class NeighbourTable:
    """``data/neighbours/<modality>`` with arrays memory-mapped.

    Attributes:
        queries: int64 [Q], ascending row numbers.
        rows: int32 [replicates, Q, width], -1 for none.
        scores: float32 cosine [replicates, Q, width], NaN for none.
        info: ``neighbours.json``.
    """

    path: Path
    queries: np.ndarray
    rows: np.ndarray
    scores: np.ndarray
    info: NeighboursRecord

    @classmethod
    def open(cls, path: str | Path, states: StatesTable | None = None) -> NeighbourTable:
        """Open the lists of one modality; with ``states``, refuse lists of other encoders or rows.

        Raises:
            StaleError: no lists there, torn ones, or they belong to other states.
        """
        path = Path(path)
        if not (path / NEIGHBOURS_FILE).exists():
            raise StaleError(f"{path}: no neighbours here", path)
        info = NeighboursRecord.read(path / NEIGHBOURS_FILE)
        if states is not None:
            stamped = {
                "encoder_digests": info.encoder_digests == states.encoder_digests,
                "ids_digest": info.ids_digest == states.ids_digest,
                "crossfit_digests": info.crossfit_digests == states.crossfit_digests,
            }
            faults = [
                f"{path / NEIGHBOURS_FILE}: {key}: not those of {states.path}"
                for key, same in stamped.items()
                if not same
            ]
            if faults:
                raise StaleError(faults, path)
        queries, rows, scores = map_arrays(path, "queries", "rows", "scores")
        return cls(path, queries, rows, scores, info)

    @property
    def width(self) -> int:
        return int(self.rows.shape[2])

    def database_rows(self, replicate: Replicate) -> int:
        """How many rows the replicate's database of this modality holds."""
        return self.info.database_rows[replicate.name]

    def findable_rows(self, replicate: Replicate) -> int:
        """How many rows every training row may find at the least: the database's without those of its own speaker."""
        return self.database_rows(replicate) - self.info.excluded_rows[replicate.name]

    def lists(
        self, replicate: Replicate, rows: Int[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, "n width"], Float[np.ndarray, "n width"]]:
        """Neighbour rows and scores of corpus rows.

        Raises:
            RetrievalError: a row was not a query.
        """
        place = np.searchsorted(self.queries, rows)
        known = place < len(self.queries)
        known[known] = self.queries[place[known]] == rows[known]
        if not known.all():
            raise RetrievalError(
                f"{self.path}: row {rows[~known][0]} has no list: it was not a query; "
                f"expected retrieval.queries: all instead of {self.info.queries} in params.yaml"
            )
        return self.rows[replicate.index][place], self.scores[replicate.index][place]
