"""Neighbour lists of every query row, found once: batched, the row itself and its speaker excluded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.errors import RetrievalError
from ramer.files import atomic_directory, read_json, write_json
from ramer.modalities import MODALITIES
from ramer.progress import track
from ramer.retrieval.diagnostics import average, diagnose
from ramer.retrieval.index import DatabaseIndex, load_index
from ramer.retrieval.search import available_gpus, exclusion_codes, make_fetch, search, search_gpu
from ramer.retrieval.states import StatesTable

BATCH = 4096  # query rows read, searched and written at a time


@dataclass(frozen=True)
class NeighbourTable:
    """``data/neighbours/<modality>`` with arrays memory-mapped.

    queries: int64 [Q], ascending row numbers. rows: int32 [replicates, Q, width], -1 for none.
    scores: float32 cosine [replicates, Q, width], NaN for none. info: ``neighbours.json``.
    """

    path: Path
    queries: np.ndarray
    rows: np.ndarray
    scores: np.ndarray
    info: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path, states: StatesTable | None = None) -> NeighbourTable:
        """Open the lists of one modality; with ``states``, refuse lists of other encoders or rows.

        Raises:
            RetrievalError: no lists there, or they belong to other states.
        """
        path = Path(path)
        if not (path / "neighbours.json").exists():
            raise RetrievalError(f"{path}: no neighbours here, expected the output of the stage retrieve")
        info = read_json(path / "neighbours.json")
        if states is not None:
            wanted = {
                "encoder_digests": states.encoder_digests,
                "ids_digest": states.ids_digest,
                "crossfit_digests": states.crossfit_digests,
            }
            stamped = {"crossfit_digests": {}} | info
            faults = [
                f"{path}/neighbours.json: {key}: not those of {states.path}: run the stage retrieve again"
                for key, value in wanted.items()
                if stamped[key] != value
            ]
            if faults:
                raise RetrievalError(faults)
        arrays = [np.load(path / f"{name}.npy", mmap_mode="r") for name in ("queries", "rows", "scores")]
        return cls(path, arrays[0], arrays[1], arrays[2], info)

    @property
    def width(self) -> int:
        return int(self.rows.shape[2])

    def database_rows(self, replicate: Replicate) -> int:
        """How many rows the replicate's database of this modality holds."""
        return int(self.info["database_rows"][replicate.name])

    def findable_rows(self, replicate: Replicate) -> int:
        """How many rows every training row may find at the least: the database's without those of its own speaker."""
        return self.database_rows(replicate) - int(self.info["excluded_rows"][replicate.name])

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
                f"expected retrieval.queries: all instead of {self.info['queries']} in params.yaml"
            )
        return self.rows[replicate.index][place], self.scores[replicate.index][place]


def retrieve(config: Config, modality: str, prepared: Path, states: Path, index: Path, out: Path) -> None:
    """Search the neighbours of every query row that holds the modality, for every replicate.

    Writes ``queries.npy, rows.npy, scores.npy, neighbours.json, diagnostics.json`` into ``out``.

    Raises:
        RetrievalError: states, index and corpus do not fit each other, or a query is zero or not finite.
    """
    corpus = PreparedCorpus.open(prepared)
    table = StatesTable.open(states, corpus)
    indexes = [
        load_index(
            index / f"{r.name}.faiss",
            expected_encoder_digest=table.encoder_digest(r),
            expected_ids_digest=corpus.ids_digest,
            expected_crossfit_digest=table.crossfit_digest(r),
            ids=corpus.ids,
        )
        for r in corpus.replicates
    ]
    _check_scope(indexes, config.retrieval.scope, index)
    queries = corpus.labelled_rows() if config.retrieval.queries == "labelled" else np.arange(corpus.rows)
    with atomic_directory(out) as folder:
        np.save(folder / "queries.npy", queries.astype(np.int64))
        rows, scores = _write_lists(config, modality, corpus, table, indexes, queries, folder)
        reports = {}
        for r, database in zip(corpus.replicates, indexes, strict=True):
            lists = rows[r.index], scores[r.index]
            reports[r.name] = diagnose(corpus, r, modality, table.of(r), database, queries, *lists)
        info = {
            "modality": modality,
            "width": config.retrieval.width,
            "exclude": config.retrieval.exclude,
            "scope": config.retrieval.scope,
            "queries": config.retrieval.queries,
            "encoder_digests": table.encoder_digests,
            "ids_digest": corpus.ids_digest,
            "database_rows": {r.name: len(indexes[r.index].rows) for r in corpus.replicates},
            "excluded_rows": {r.name: _most_excluded(config, corpus, indexes[r.index], r) for r in corpus.replicates},
        }
        if table.crossfit_digests:
            info["crossfit_digests"] = table.crossfit_digests
        write_json(folder / "neighbours.json", info)
        write_json(folder / "diagnostics.json", {"modality": modality, "replicates": reports, "mean": average(reports)})


def _most_excluded(config: Config, corpus: PreparedCorpus, index: DatabaseIndex, replicate: Replicate) -> int:
    """Rows of the database that some training row must not find: those of its speaker, at the most."""
    codes = exclusion_codes(corpus.groups, config.retrieval.exclude)
    held = codes[index.rows]
    _, counts = np.unique(held[np.isin(held, codes[corpus.rows_in(replicate, "train")])], return_counts=True)
    return int(counts.max(initial=0))


def _check_scope(indexes: list[DatabaseIndex], scope: str, path: Path) -> None:
    other = {i.sidecar["scope"] for i in indexes} - {scope}
    if other:
        raise RetrievalError(f"{path}: scope: expected {scope} as in params.yaml, got {', '.join(sorted(other))}")


def _write_lists(
    config: Config,
    modality: str,
    corpus: PreparedCorpus,
    table: StatesTable,
    indexes: list[DatabaseIndex],
    queries: np.ndarray,
    folder: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """Search in batches straight into memory-mapped files; returns rows and scores, memory-mapped."""
    shape = (len(corpus.replicates), len(queries), config.retrieval.width)
    rows = np.lib.format.open_memmap(folder / "rows.npy", mode="w+", dtype=np.int32, shape=shape)
    scores = np.lib.format.open_memmap(folder / "scores.npy", mode="w+", dtype=np.float32, shape=shape)
    rows[:], scores[:] = -1, np.nan
    codes = exclusion_codes(corpus.groups, config.retrieval.exclude)
    holding = np.flatnonzero(corpus.available[queries, MODALITIES.index(modality)])
    gpu = search_gpu(config.runtime.device, available_gpus())
    for replicate in corpus.replicates:
        fetch = make_fetch(indexes[replicate.index], gpu)
        for start in track(range(0, len(holding), BATCH), f"searching {modality} {replicate.name}"):
            part = holding[start : start + BATCH]
            asked = queries[part]
            hits = search(
                indexes[replicate.index],
                table.of(replicate),
                table.of(replicate)[asked],
                config.retrieval.width,
                codes=codes,
                query_codes=codes[asked],
                ids=corpus.ids[asked],
                rerank=config.index.rerank,
                fetch=fetch,
            )
            rows[replicate.index, part], scores[replicate.index, part] = hits
    rows.flush()
    scores.flush()
    return rows, scores
