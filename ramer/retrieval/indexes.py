"""FAISS indexes over the database rows of each replicate, and the sidecars that say what they hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np

from ramer.config import Index, Retrieval
from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.digests import sealed_directory
from ramer.errors import RetrievalError, StaleError, raise_if_scarce
from ramer.files import atomic_file, read_json
from ramer.modalities import MODALITIES
from ramer.retrieval.disk_lists import KINDS_ON_DISK, States, fill_on_disk, lists_of, read_on_disk
from ramer.retrieval.exclusion import exclusion_codes
from ramer.retrieval.index_kinds import choose_kind, fill_index, write_faiss
from ramer.retrieval.index_sidecars import IndexKind, Sidecar, WholeSidecar
from ramer.retrieval.indexed_rows import ENDING, IndexedRows
from ramer.retrieval.states import StatesTable

log = logging.getLogger(__name__)

SCOPES: dict[str, tuple[str, ...]] = {"train": ("train",), "pool": ("pool",), "all": ("train", "pool")}
OWN_SCOPE = "all"  # of a method that searches by keys of its own, whatever retrieval.scope says of states


@dataclass(frozen=True)
class DatabaseIndex:
    """One replicate's index.

    Attributes:
        faiss_index: the keys.
        rows: of the keys, by position: corpus rows or places in a table, int64, ascending.
        about: how it is searched.
    """

    faiss_index: faiss.Index
    rows: np.ndarray
    about: IndexKind

    @property
    def exact(self) -> bool:
        return self.about.kind == "flat"


@dataclass(frozen=True)
class StoredIndex(DatabaseIndex):
    """An index with the description that lies beside it.

    Attributes:
        about: the description.
        named: the rows with their names.
    """

    about: Sidecar
    named: IndexedRows

    @classmethod
    def of(cls, index: faiss.Index, named: IndexedRows, about: Sidecar) -> StoredIndex:
        """An index whose keys are of these rows."""
        return cls(index, named.rows, about, named)


def database_rows(prepared: PreparedCorpus, replicate: Replicate, modality: str, scope: str) -> np.ndarray:
    """Row numbers that retrieval may return: rows of the scope's splits that hold the modality, ascending.

    Raises:
        RetrievalError: the replicate has no row in the scope at all.
    """
    if scope not in SCOPES:
        raise ValueError(f"retrieval.scope: expected one of {', '.join(SCOPES)}, got {scope!r}")
    rows = prepared.rows_in(replicate, *SCOPES[scope])
    if not len(rows):
        raise RetrievalError(
            f"params.yaml: retrieval.scope: {scope}: replicate {replicate.name} of {prepared.name} has no such row; "
            f"expected a corpus with a pool, prepare.label_budget, or another scope"
        )
    return rows[prepared.available[rows, MODALITIES.index(modality)]]


def build_indexes(
    corpus: PreparedCorpus, table: StatesTable, options: Index, retrieval: Retrieval, out: Path, *, threads: int = 1
) -> None:
    """Build one index per replicate over the rows of a scope that hold a modality; keys have length 1.

    Args:
        corpus: whose rows the states are.
        table: states of the modality.
        options: kind and sizes of the indexes.
        retrieval: which rows may be returned (the scope, a key of ``SCOPES``), and which a query never gets: recall is
            measured without those.
        out: folder to write, whole or not at all: per replicate ``.faiss``, ``.json``, ``.parquet`` and, with lists on
            disk, ``.ivfdata``.
        threads: of a worker that fills such lists.

    Raises:
        OSError: the disk has no room for lists on it.
        RetrievalError: an empty scope, or a key that is zero or not finite.
    """
    codes = exclusion_codes(corpus.groups, retrieval.exclude)
    with sealed_directory(out) as folder:
        for replicate in corpus.replicates:
            rows = database_rows(corpus, replicate, table.modality, retrieval.scope)
            kind = choose_kind(options, len(rows), table.hidden_dim)
            named, path = IndexedRows.of(rows, corpus.ids[rows]), folder / f"{replicate.name}.faiss"
            if options.lists == "disk" and kind in KINDS_ON_DISK:
                states = States(table.path, replicate.index)
                made = fill_on_disk(options, kind, states, named, corpus.ids, path, codes=codes, threads=threads)
            else:
                made = fill_index(options, kind, table.of(replicate), rows, corpus.ids, codes)
            index, settings, recall = made
            sidecar = Sidecar(
                modality=table.modality,
                count=len(rows),
                dimension=table.hidden_dim,
                kind=kind,
                settings=settings,
                recall_at_5=recall,
                scope=retrieval.scope,
                encoder_digest=table.encoder_digest(replicate),
                ids_digest=corpus.ids_digest,
                crossfit_digest=table.crossfit_digest(replicate),
            )
            save_index(StoredIndex.of(index, named, sidecar), path)
            log.info("%s %s: %d rows in a %s index", table.modality, replicate.name, len(rows), kind)


def save_index(index: StoredIndex, path: str | Path) -> None:
    """Write an index and, beside it, the table of its rows and the sidecar, which tells whether both are whole."""
    path = Path(path)
    with atomic_file(path) as temporary:
        write_faiss(index.faiss_index, temporary)
    whole = {"bytes": _size(path), "rows_digest": index.named.write(path)}
    index.about.model_copy(update=whole).write(path.with_suffix(".json"))


def _size(path: Path) -> int:
    """Bytes of an index and, where it has them on disk, of its lists."""
    lists = lists_of(path)
    return path.stat().st_size + (lists.stat().st_size if lists.exists() else 0)


def load_index(
    path: str | Path,
    *,
    mapped: bool = True,
    expected_encoder_digest: str | None = None,
    expected_ids_digest: str | None = None,
    expected_crossfit_digest: str | None = None,
    ids: np.ndarray | None = None,
) -> StoredIndex:
    """Read an index and its sidecar, and refuse what does not fit.

    Args:
        path: the ``.faiss`` file; the sidecar and the table of rows are beside it.
        mapped: leave the keys on disk, where this FAISS can. Such an index is only searched: FAISS ends the whole
            process that adds to one.
        expected_encoder_digest, expected_ids_digest, expected_crossfit_digest: of the queries' encoder, of the corpus'
            ids in row order, of the encoders of the training rows' states; keys of others are refused.
        ids: the corpus' ids by row number; each must be the sidecar's.

    Raises:
        StaleError: absent or torn files or any mismatch, one line per fault.
        RetrievalError: keys are to be added to lists on disk.
    """
    path = Path(path)
    side = path.with_suffix(".json")
    if lost := [file for file in (path, side) if not file.exists()]:
        raise StaleError(f"{lost[0]}: no such file", path)
    sidecar, named = _described(path, side)
    wanted = {
        "encoder_digest": expected_encoder_digest,
        "ids_digest": expected_ids_digest,
        "crossfit_digest": expected_crossfit_digest,
    }
    faults = _foreign(sidecar, side, wanted)
    index = _read_keys(path, sidecar, mapped)
    if index.d != max(sidecar.dimension, 1):
        faults.append(f"{path}: dimension: expected {sidecar.dimension} as in {side.name}, got {index.d}")
    if not index.ntotal == len(named) == len(named.ids):
        faults.append(f"{path}: expected {len(named)} keys as in {path.stem}{ENDING}, got {index.ntotal}")
    elif ids is not None:
        faults += [f"{side}: rows: {fault}" for fault in _misnamed(named, ids)]
    if faults:
        raise StaleError(faults, path)
    return StoredIndex.of(index, named, sidecar)


def _described(path: Path, side: Path) -> tuple[Sidecar, IndexedRows]:
    """A sidecar and the rows that it is of, which those of older versions hold themselves."""
    if path.with_suffix(ENDING).exists() or "ids" not in _raw(side):
        sidecar = Sidecar.read(side)
        return sidecar, IndexedRows.read(path, sidecar.rows_digest)
    whole = WholeSidecar.read(side)
    named = IndexedRows.of(np.array(whole.rows, dtype=np.int64), whole.ids)
    return Sidecar.model_validate(whole.model_dump(exclude={"ids", "rows"})), named


def _raw(side: Path) -> Mapping[str, object]:
    """The sidecar as JSON; empty where it is none, which reading it tells."""
    try:
        raw = read_json(side)
    except (OSError, ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}


def _foreign(sidecar: Sidecar, side: Path, wanted: dict[str, str | None]) -> list[str]:
    """Digests that are not those asked for; None asks for none."""
    held = {
        "encoder_digest": sidecar.encoder_digest,
        "ids_digest": sidecar.ids_digest,
        "crossfit_digest": sidecar.crossfit_digest,
    }
    return [
        f"{side}: {key}: expected {digest}, got {held[key]}: index and queries are of different encoders or rows"
        for key, digest in wanted.items()
        if digest is not None and held[key] != digest
    ]


def _read_keys(path: Path, sidecar: Sidecar, mapped: bool) -> faiss.Index:
    on_disk = lists_of(path).exists()
    if on_disk and not mapped:
        raise RetrievalError(f"{path}: has its lists on disk, which take no more keys; build the index anew")
    try:
        if _size(path) != sidecar.bytes:  # mapping a torn file would end the whole process
            raise RuntimeError
        if on_disk:
            return read_on_disk(path)
        return faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0) if mapped else 0)
    except RuntimeError as error:  # all that FAISS raises
        raise_if_scarce(error)
        raise StaleError(f"{path}: torn, or no index of FAISS", path) from None


def _misnamed(named: IndexedRows, ids: np.ndarray) -> list[str]:
    """The first row that the corpus knows by another id."""
    inside = (named.rows >= 0) & (named.rows < len(ids))
    wrong = np.flatnonzero(~inside)
    if not len(wrong):
        wrong = named.differing(ids[named.rows])
    return [f"row {named.rows[i]} is not {named.ids[int(i)].as_py()!r} in the corpus" for i in wrong[:1]]
