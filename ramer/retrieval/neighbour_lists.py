"""The search for the neighbour lists of every query row, batch by batch, and what is written of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ramer.array_files import map_new_array
from ramer.config import Retrieval
from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.errors import StaleError
from ramer.files import atomic_directory, write_json
from ramer.modalities import MODALITIES
from ramer.progress import track
from ramer.retrieval.diagnostics import average, diagnose, short_lists
from ramer.retrieval.exclusion import exclusion_codes
from ramer.retrieval.gpu_search import Searches
from ramer.retrieval.indexes import StoredIndex, load_index
from ramer.retrieval.neighbours import NEIGHBOURS_FILE, NeighboursRecord
from ramer.retrieval.search import search
from ramer.retrieval.states import StatesTable

log = logging.getLogger(__name__)

BATCH = 4096  # query rows read, searched and written at a time


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
        ConfigError: a GPU was asked for by name and fails.
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
            if not database.exact:
                short = short_lists(corpus, table.modality, database, settings.exclude, queries, lists[0])
                reports[r.name]["short_lists"] = short
                _warn(table.modality, r, short, database)
        _describe(asked).write(folder / NEIGHBOURS_FILE)
        described = {"modality": table.modality, "replicates": reports, "mean": average(reports)}
        write_json(folder / "diagnostics.json", described)


def _warn(modality: str, replicate: Replicate, short: float, index: StoredIndex) -> None:
    if short:
        log.warning(
            "%s %s: %.1f %% of the lists hold fewer rows than there are for them (index %s, %s): set index.nprobe or "
            "index.ef higher, or index.kind to flat",
            modality,
            replicate.name,
            100 * short,
            index.about.kind,
            index.about.settings,
        )


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
    searches = Searches(asked.device)
    for replicate in corpus.replicates:
        index, states = asked.indexes[replicate.index], table.of(replicate)
        backend = searches.of(index, states)
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
                fetch=backend.fetch,
                scoring=backend.scoring,
            )
    rows.flush()
    scores.flush()
    return rows, scores
