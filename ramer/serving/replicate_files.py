"""One replicate of a model, read from its files and checked part against part."""

from __future__ import annotations

import numpy as np

from ramer.data.prepared import Scaler, StandardisedRows
from ramer.errors import ModelError, StaleError
from ramer.files import digest_file
from ramer.inputs import LIVE, OWN_KEYS, SHUFFLED
from ramer.methods import Method, load_method
from ramer.modalities import MODALITIES
from ramer.nn.encoder import UnimodalEncoder
from ramer.retrieval.indexes import DatabaseIndex, load_index
from ramer.retrieval.shuffle import Shuffle
from ramer.retrieval.structures import Database, LiveSearch
from ramer.serving.database import DatabaseTable
from ramer.serving.model import ModelFiles
from ramer.serving.replicate_model import ReplicateModel, SearchSettings
from ramer.serving.torn import refuse_torn
from ramer.training.checkpoints import load_encoder
from ramer.training.method_record import METHOD_FILE, TrainedMethod


def _load_encoders(files: ModelFiles, name: str) -> dict[str, tuple[UnimodalEncoder, Scaler]]:
    """One replicate's encoders and scalers of the modalities that the corpus has."""
    dims = files.description.dims
    paths = {m: files.encoders / m / f"{name}.safetensors" for m in MODALITIES if dims[m]}
    loaded = {m: load_encoder(path) for m, path in paths.items()}
    faults = [
        f"{paths[m]}: expected an encoder of {dims[m]} features, got {encoder.input_dim}"
        for m, (encoder, _) in loaded.items()
        if encoder.input_dim != dims[m]
    ]
    if faults:
        raise ModelError(faults)
    return loaded


def load_replicate(files: ModelFiles, position: int, table: DatabaseTable | None) -> ReplicateModel:
    name, description = files.replicates[position], files.description
    head = files.heads / f"{name}.safetensors"
    with refuse_torn(files.heads / METHOD_FILE):
        trained = TrainedMethod.read(files.heads / METHOD_FILE)
    if not head.is_file() or digest_file(head) != trained.digest(name):
        raise StaleError(f"{head}: not the checkpoint that {METHOD_FILE} describes", head)
    method = load_method(head)
    expected = (description.dims, description.label_names)
    if (method.shape.feature_dims, method.shape.label_names) != expected:
        raise ModelError(f"{head}: was trained on other features or labels than {description.corpus.name}")
    encoders = _load_encoders(files, name)
    search = SearchSettings(description.retrieval.width, description.retrieval.rerank)
    if table is None:
        return ReplicateModel(encoders, {}, None, method, search)
    indexes = {m: _load_index(files, m, name, table) for m in encoders} if files.indexed else {}
    database = _database(files, position, table, indexes, encoders, method)
    _ = database.norms  # computed once and kept: no clip waits for it
    method.prepare(database)
    return ReplicateModel(encoders, indexes, database, method, search)


def _database(
    files: ModelFiles,
    position: int,
    table: DatabaseTable,
    indexes: dict[str, DatabaseIndex],
    encoders: dict[str, tuple[UnimodalEncoder, Scaler]],
    method: Method,
) -> Database:
    """The table as one replicate's method retrieves from it."""
    available = table.available & table.members[position, :, None]
    if files.indexed:
        available = np.zeros_like(table.available)
    for i, m in enumerate(MODALITIES):
        if m in indexes:
            available[indexes[m].rows, i] = True
    labels = {label: i for i, label in enumerate(files.description.label_names)}
    codes = np.array([labels.get(label, -1) for label in table.labels[position]], dtype=np.int64)
    name = files.replicates[position]
    shuffle = Shuffle.draw(name, available, codes >= 0) if SHUFFLED in method.reads else None
    live = None
    if LIVE in method.reads or OWN_KEYS in method.reads:
        # Plain views of what is memory-mapped: taking rows of a memmap costs many times as much.
        features = {m: StandardisedRows(np.asarray(v[0]), encoders[m][1]) for m, v in table.features.items()}
        live = LiveSearch(features, indexes, np.arange(len(available)))
    states = {m: np.asarray(s[position]) for m, s in table.states.items()}
    return Database(states, available, codes, shuffle, live)


def _load_index(files: ModelFiles, modality: str, name: str, table: DatabaseTable) -> DatabaseIndex:
    """An index whose rows are positions in the database table."""
    path = files.index / modality / f"{name}.faiss"
    digest = digest_file(files.encoders / modality / f"{name}.safetensors")
    index = load_index(path, expected_encoder_digest=digest)
    places = np.searchsorted(table.rows, index.rows)
    known = np.append(table.rows, -1)[places] == index.rows
    if not known.all() or len(index.named.differing(table.ids[places])):
        raise StaleError(f"{path}: names rows that the database does not hold", path)
    return DatabaseIndex(index.faiss_index, places, index.about)
