"""New clips in a model's retrieval database: it gains from unlabelled data without training.

Everything is written beside what is there and becomes the model's with one rename of ``model.json``, so that a reader
finds the old database or the new one, also when a writer is killed. What is replaced stays until the next addition:
somebody may be reading it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ramer.errors import ModelError, RamerError
from ramer.files import digest_strings
from ramer.modalities import MODALITIES
from ramer.retrieval.append import append_keys
from ramer.retrieval.disk_lists import lists_of
from ramer.retrieval.indexes import StoredIndex, load_index, save_index
from ramer.serving.database import DatabaseTable, append_database, read_database
from ramer.serving.description import Addition, Folders, RetrievalSettings
from ramer.serving.exported_model import ExportedModel, database_in, index_in
from ramer.serving.features import Features
from ramer.serving.modelfiles import find_exported
from ramer.serving.predictor import Predictor

MOST_NAMED = 5  # faulty ids named in one message


def add_to_database(path: Path, ids: list[str], features: Features) -> Addition:
    """Append clips to the retrieval database of an exported model, for all replicates or not at all.

    Added clips have no label. Approximate indexes keep their lists and codes: they are not trained again.

    Args:
        path: a folder that ``export_model`` wrote; changed in place.
        ids: of the clips [n]. features: per modality raw vectors [n, dim] with NaN rows where missing, or None.

    Raises:
        ModelError: no exported model, its method retrieves nothing (at all, or as every replicate was fitted), its
            indexes have their lists on disk, or another process is adding to it.
        RamerError: an id that is there already or given twice, a clip that holds nothing, vectors that do not fit.
    """
    found = find_exported(path, verify=False)
    if not found.retrieves:
        raise ModelError(f"{path}: method {found.description.method!r} retrieves nothing, it has no database")
    with _locked(found.folder):
        model = ExportedModel(found.folder)  # as whoever wrote last has left it
        _refuse_lists_on_disk(model)
        table = model.read_database()
        new = _encode(model, table, ids, features)
        addition = _described(table, new)
        remove_unused(model)
        with _folders_after(model) as folders:
            database, index = database_in(model.folder, folders), index_in(model.folder, folders)
            append_database(database, table, new)
            grown = read_database(database, model.replicates, model.feature_dims, model.holds_states)
            if model.indexed:
                _append_indexes(model, grown, len(table), index)
            model.take(folders, addition)
    return addition


def _refuse_lists_on_disk(model: ExportedModel) -> None:
    """Before anything is written: what they hold may be more than memory does."""
    if any(lists_of(path).exists() for path in model.index.rglob("*.faiss")):
        told = "its indexes have their lists on disk, which take no more keys"
        raise ModelError(f"{model.folder}: {told}: add the clips to the corpus, `dvc repro`, and export it again")


def remove_unused(model: ExportedModel) -> None:
    """Remove databases and indexes that ``model.json`` no longer names."""
    for path in model.folders.unused(model.folder):
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time, without a file that says so."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ModelError(f"{folder}: another process is adding to it; try again when it is done") from None
    finally:
        os.close(handle)


@contextlib.contextmanager
def _folders_after(model: ExportedModel) -> Iterator[Folders]:
    """The folders of the next database and indexes, which are removed again if the body fails."""
    number = len(model.description.additions) + 1
    folders = Folders(database=f"database.{number}", index=f"index.{number}")
    try:
        yield folders
    except BaseException:
        for _, name in folders:
            shutil.rmtree(model.folder / name, ignore_errors=True)
        raise


def _encode(model: ExportedModel, table: DatabaseTable, ids: list[str], features: Features) -> DatabaseTable:
    """The clips as rows of a database, numbered after those that it has."""
    predictor = Predictor(model)
    if not any(replicate.method.reads_database for replicate in predictor.replicates):
        name = model.description.method
        raise ModelError(
            f"{model.folder}: method {name!r} retrieves nothing as it was fitted: clips would change nothing"
        )
    _check_ids(ids, table)
    available, states = predictor.encode(features)
    nothing = np.flatnonzero(~available.any(axis=1))
    if len(nothing):
        raise RamerError([f"{ids[row]}: holds no modality, expected at least one" for row in nothing[:MOST_NAMED]])
    rows = np.arange(len(ids)) + (table.rows.max(initial=-1) + 1)
    labels = np.full((len(table.replicates), len(ids)), None, dtype=object)
    vectors = predictor.vectors(features)
    held = {m: vectors[m][None] for m in table.features}
    searched = {m: states[m] for m in table.states}
    members = np.ones((len(table.replicates), len(ids)), dtype=bool)
    named = np.array(ids, dtype=object)
    return DatabaseTable(table.replicates, rows, named, labels, members, available, searched, held)


def _check_ids(ids: list[str], table: DatabaseTable) -> None:
    if not ids:
        raise RamerError("features: no clip, expected at least one")
    counts = pd.Series(ids).value_counts()
    twice = list(counts.index[counts > 1])
    known = sorted(set(ids) & set(table.ids))
    faults = [f"{name}: given {counts[name]} times, expected every clip once" for name in twice[:MOST_NAMED]]
    faults += [f"{name}: is in the database already" for name in known[:MOST_NAMED]]
    more = len(twice) + len(known) - len(faults)
    if more:
        faults.append(f"and {more} more clips like these")
    if faults:
        raise RamerError(faults)


def _described(table: DatabaseTable, new: DatabaseTable) -> Addition:
    held = dict(zip(MODALITIES, new.available.sum(axis=0).tolist(), strict=True))
    return Addition(clips=len(new), **held, rows_before=len(table), ids_digest=digest_strings(new.ids))


def _append_indexes(model: ExportedModel, grown: DatabaseTable, first: int, out: Path) -> None:
    """The indexes with the rows of the table from ``first`` on, which they do not hold yet."""
    for i, m in enumerate(MODALITIES):
        (out / m).mkdir(parents=True)
        added = first + np.flatnonzero(grown.available[first:, i])
        for position, replicate in enumerate(model.replicates):
            index = load_index(model.index / m / f"{replicate}.faiss", mapped=False)
            if len(added):
                index = _append(index, grown, grown.states[m][position], added, model.description.retrieval)
            save_index(index, out / m / f"{replicate}.faiss")


def _append(
    index: StoredIndex, grown: DatabaseTable, states: np.ndarray, added: np.ndarray, settings: RetrievalSettings
) -> StoredIndex:
    # By their places in the table, as its states are; on disk an index names rows by their numbers.
    places = index.named.numbered(np.searchsorted(grown.rows, index.rows))
    placed = StoredIndex.of(index.faiss_index, places, index.about)
    digest = digest_strings(grown.ids)
    made = append_keys(
        placed, states, added, grown.ids[added], ids_digest=digest, seed=settings.seed, rerank=settings.rerank
    )
    return StoredIndex.of(made.faiss_index, made.named.numbered(grown.rows[made.rows]), made.about)
