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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramer.errors import ModelError, RamerError
from ramer.files import digest_strings, read_json, write_json, write_table
from ramer.modalities import MODALITIES
from ramer.retrieval.append import append_keys, append_table
from ramer.retrieval.index import DatabaseIndex, load_index, save_index
from ramer.serving.given import Features
from ramer.serving.modelfiles import MODEL_FILE, DatabaseTable, ModelFiles, features_file, find_model
from ramer.serving.predictor import Predictor

MOST_NAMED = 5  # faulty ids named in one message
_PARTS = ("database", "index")


@dataclass(frozen=True)
class Addition:
    """What was added: clips, how many of them hold each modality, rows of the database before, digest of the ids."""

    clips: int
    audio: int
    video: int
    text: int
    rows_before: int
    ids_digest: str


@dataclass(frozen=True)
class _Clips:
    """New rows of the database: row numbers [n], ids [n], bool [n, 3], and per modality states [replicates, n, hidden]
    and raw vectors [n, dim], NaN where missing."""

    rows: np.ndarray
    ids: list[str]
    available: np.ndarray
    states: dict[str, np.ndarray]
    features: dict[str, np.ndarray]


def add_to_database(model: Path, ids: list[str], features: Features) -> Addition:
    """Append clips to the retrieval database of an exported model, for all replicates or not at all.

    Added clips have no label. Approximate indexes keep their lists and codes: they are not trained again.

    Args:
        model: a folder that ``export_model`` wrote; changed in place.
        ids: of the clips [n]. features: per modality raw vectors [n, dim] with NaN rows where missing, or None.

    Raises:
        ModelError: no exported model, its method does not retrieve, or another process is adding to it.
        RamerError: an id that is there already or given twice, a clip that holds nothing, vectors that do not fit.
    """
    files = find_model(model)
    if files.project is not None:
        raise ModelError(f"{model}: a project, whose files are DVC's; `ramer export` it and add to the exported model")
    if not files.retrieves:
        raise ModelError(f"{model}: method {files.description['method']!r} retrieves nothing, it has no database")
    folder = files.encoders.parent
    with _locked(folder):
        return _add(find_model(model), folder, ids, features)


def remove_unused(folder: Path) -> None:
    """Remove databases and indexes that ``model.json`` no longer names: of the addition before, or of a killed one."""
    used = set(read_json(folder / MODEL_FILE).get("folders", {}).values()) or set(_PARTS)
    for part in _PARTS:
        for path in (folder / part, *folder.glob(f"{part}.*")):
            if path.name not in used:
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


def _add(files: ModelFiles, folder: Path, ids: list[str], features: Features) -> Addition:
    predictor = Predictor(files)
    table = files.read_database()
    _check_ids(ids, table)
    available, states = predictor.encode(features)
    nothing = np.flatnonzero(~available.any(axis=1))
    if len(nothing):
        raise RamerError([f"{ids[row]}: holds no modality, expected at least one" for row in nothing[:MOST_NAMED]])
    new = _Clips(
        np.arange(len(ids)) + (table.rows.max(initial=-1) + 1), ids, available, states, predictor.vectors(features)
    )
    audio, video, text = (int(held) for held in available.sum(axis=0))
    addition = Addition(len(ids), audio, video, text, len(table.rows), digest_strings(ids))
    added = [*files.description.get("additions", []), asdict(addition)]
    names = {part: f"{part}.{len(added)}" for part in _PARTS}
    remove_unused(folder)
    _write_database(files, table, folder / names["database"], new)
    _write_indexes(files, table, folder / names["database"], folder / names["index"], new)
    described = read_json(folder / MODEL_FILE)
    write_json(folder / MODEL_FILE, described | {"folders": names, "additions": added})
    return addition


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


def _write_database(files: ModelFiles, table: DatabaseTable, out: Path, new: _Clips) -> None:
    """rows.parquet and arrays with the new rows at the end; states and vectors of what a clip lacks are NaN."""
    out.mkdir()
    columns: dict[str, Any] = {"row": np.concatenate([table.rows, new.rows]), "id": [*table.ids, *new.ids]}
    for i, replicate in enumerate(files.replicates):
        columns[f"label_{replicate}"] = pd.array([*table.labels[i], *[None] * len(new.ids)], dtype="str")
    for i, m in enumerate(MODALITIES):
        columns[f"available_{m}"] = np.concatenate([table.available[:, i], new.available[:, i]])
    write_table(out / "rows.parquet", pd.DataFrame(columns))
    for m in MODALITIES:
        append_table(table.states[m], new.states[m], out / f"{m}.npy")
    for m, vectors in table.features.items():
        append_table(vectors, new.features[m][None], out / features_file(m))


def _write_indexes(files: ModelFiles, table: DatabaseTable, database: Path, out: Path, new: _Clips) -> None:
    """The indexes with the new rows; ``database`` holds the states of all rows. Recall is measured again."""
    numbers, names = np.concatenate([table.rows, new.rows]), np.array(new.ids, dtype=object)
    digest, rerank = digest_strings([*table.ids, *new.ids]), files.description["retrieval"]["rerank"]
    for i, m in enumerate(MODALITIES):
        (out / m).mkdir(parents=True)
        states = np.load(database / f"{m}.npy", mmap_mode="r")
        held = np.flatnonzero(new.available[:, i])
        for position, replicate in enumerate(files.replicates):
            index = load_index(files.index / m / f"{replicate}.faiss", mapped=False)
            if len(held):
                # By their places in the table, as its states are; on disk an index names rows by their numbers.
                index = DatabaseIndex(index.faiss_index, np.searchsorted(table.rows, index.rows), index.sidecar)
                places = len(table.rows) + held
                given = states[position]
                index = append_keys(index, given, places, names[held], ids_digest=digest, rerank=rerank)
                rows = numbers[index.rows]
                index = DatabaseIndex(index.faiss_index, rows, index.sidecar | {"rows": rows})
            save_index(index, out / m / f"{replicate}.faiss")
