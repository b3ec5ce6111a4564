"""Neighbour lists of every query row, found once: batched, the row itself and its speaker excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from ramer.config import Retrieval
from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.errors import RetrievalError, StaleError
from ramer.files import atomic_directory, map_new_array, write_json
from ramer.modalities import MODALITIES
from ramer.progress import track
from ramer.records import Record
from ramer.retrieval.diagnostics import average, diagnose
from ramer.retrieval.indexes import StoredIndex, load_index
from ramer.retrieval.search import available_gpus, exclusion_codes, make_fetch, search, search_gpu
from ramer.retrieval.states import StatesTable, map_arrays

BATCH = 4096  # query rows read, searched and written at a time


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


def write_neighbours(
    corpus: PreparedCorpus,
    table: StatesTable,
    indexes: Sequence[StoredIndex],
    settings: Retrieval,
    out: Path,
    *,
    rerank: bool = True,
    device: str = "auto",
) -> None:
    """Search the neighbours of every query row that holds a modality, for every replicate.

    Args:
        corpus: whose rows the states are.
        table: states of the modality.
        indexes: one per replicate, as ``open_indexes`` opens them.
        settings: scope, width, exclusion and queries.
        out: folder to write, whole or not at all: ``queries.npy, rows.npy, scores.npy, neighbours.json,
            diagnostics.json``.
        rerank: score the candidates of an inexact index again with exact states.
        device: ``runtime.device``: where exact search runs.

    Raises:
        RetrievalError: a query is zero or not finite.
    """
    queries = corpus.labelled_rows() if settings.queries == "labelled" else np.arange(corpus.rows)
    asked = _Asked(corpus, table, indexes, settings, queries, rerank, device)
    with atomic_directory(out) as folder:
        np.save(folder / "queries.npy", queries.astype(np.int64))
        rows, scores = _write_lists(asked, folder)
        reports = {}
        for r, database in zip(corpus.replicates, indexes, strict=True):
            lists = rows[r.index], scores[r.index]
            reports[r.name] = diagnose(corpus, r, table.modality, table.of(r), database, queries, *lists)
        _describe(asked).write(folder / NEIGHBOURS_FILE)
        described = {"modality": table.modality, "replicates": reports, "mean": average(reports)}
        write_json(folder / "diagnostics.json", described)


def open_indexes(folder: Path, corpus: PreparedCorpus, table: StatesTable, scope: str) -> list[StoredIndex]:
    """A modality's indexes, one per replicate, all of which fit states and corpus.

    Raises:
        StaleError: absent or torn files, other encoders, rows or another scope.
    """
    indexes = [
        load_index(
            folder / f"{r.name}.faiss",
            expected_encoder_digest=table.encoder_digest(r),
            expected_ids_digest=corpus.ids_digest,
            expected_crossfit_digest=table.crossfit_digest(r),
            ids=corpus.ids,
        )
        for r in corpus.replicates
    ]
    other = {i.about.scope for i in indexes} - {scope}
    if other:
        got = ", ".join(sorted(other))
        raise StaleError(f"{folder}: scope: expected {scope} as in params.yaml, got {got}", folder)
    return indexes


@dataclass(frozen=True)
class _Asked:
    """What is searched, and how."""

    corpus: PreparedCorpus
    table: StatesTable
    indexes: Sequence[StoredIndex]
    settings: Retrieval
    queries: np.ndarray
    rerank: bool
    device: str


def _describe(asked: _Asked) -> NeighboursRecord:
    corpus, table, settings = asked.corpus, asked.table, asked.settings
    indexes = asked.indexes
    return NeighboursRecord(
        modality=table.modality,
        width=settings.width,
        exclude=settings.exclude,
        scope=settings.scope,
        queries=settings.queries,
        encoder_digests=table.encoder_digests,
        ids_digest=corpus.ids_digest,
        crossfit_digests=table.crossfit_digests,
        database_rows={r.name: len(indexes[r.index].rows) for r in corpus.replicates},
        excluded_rows={r.name: _most_excluded(asked, r) for r in corpus.replicates},
    )


def _most_excluded(asked: _Asked, replicate: Replicate) -> int:
    """Rows of the database that some training row must not find: those of its speaker, at the most."""
    codes = exclusion_codes(asked.corpus.groups, asked.settings.exclude)
    held = codes[asked.indexes[replicate.index].rows]
    train = codes[asked.corpus.rows_in(replicate, "train")]
    _, counts = np.unique(held[np.isin(held, train)], return_counts=True)
    return int(counts.max(initial=0))


def _write_lists(asked: _Asked, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Search in batches straight into memory-mapped files; returns rows and scores, memory-mapped."""
    corpus, table, queries, width = asked.corpus, asked.table, asked.queries, asked.settings.width
    shape = (len(corpus.replicates), len(queries), width)
    rows = map_new_array(folder / "rows.npy", np.int32, shape)
    scores = map_new_array(folder / "scores.npy", np.float32, shape)
    rows[:], scores[:] = -1, np.nan
    codes = exclusion_codes(corpus.groups, asked.settings.exclude)
    holding = np.flatnonzero(corpus.available[queries, MODALITIES.index(table.modality)])
    gpu = search_gpu(asked.device, available_gpus())
    for replicate in corpus.replicates:
        index, states = asked.indexes[replicate.index], table.of(replicate)
        fetch = make_fetch(index, gpu)
        for start in track(range(0, len(holding), BATCH), f"searching {table.modality} {replicate.name}"):
            part = holding[start : start + BATCH]
            batch = queries[part]
            rows[replicate.index, part], scores[replicate.index, part] = search(
                index,
                states,
                states[batch],
                width,
                codes=codes,
                query_codes=codes[batch],
                ids=corpus.ids[batch],
                rerank=asked.rerank,
                fetch=fetch,
            )
    rows.flush()
    scores.flush()
    return rows, scores
