"""A trained model as an object: features with anything missing in, emotions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ramer.data.prepared import StandardisedRows
from ramer.errors import ModelError, RamerError
from ramer.files import digest_file, read_json
from ramer.inputs import SHUFFLED
from ramer.methods import Method, load_method
from ramer.methods.ramer import Ramer
from ramer.methods.shared.imputing import ImputingMethod
from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import Database, Lists, Selected
from ramer.retrieval.candidates import Live
from ramer.retrieval.indexes import DatabaseIndex, load_index
from ramer.retrieval.search import FEW
from ramer.retrieval.shuffle import Shuffle
from ramer.serving.database import DatabaseTable
from ramer.serving.features import mark_missing
from ramer.serving.model import ModelFiles
from ramer.serving.modelfiles import open_model
from ramer.serving.nearest import StackedRamer, stack_indexes
from ramer.serving.stacked_encoders import Encodings, StackedEncoders
from ramer.serving.torn import check_finite, refuse_torn
from ramer.training.batches import Arrays, Batch
from ramer.training.checkpoints import load_encoder


@dataclass(frozen=True)
class Neighbour:
    """A clip that stood in for the modality ``target``: its id, the score it was chosen by, its label if it has one."""

    target: str
    id: str
    score: float
    label: str | None


@dataclass(frozen=True)
class Prediction:
    """What a model says of n clips.

    Attributes:
        labels: [n] class names.
        probabilities: float64 [n, classes], averaged over replicates.
        label_names: the classes in order.
        available: bool [n, 3], what each clip held.
        neighbours: per clip, the clips that stood in for what it lacks (of the first replicate); empty unless asked.

    Example:
        >>> predictor = Predictor.load(project)
        >>> said = predictor.predict({"audio": None, "text": [0.1] * predictor.dims["text"]})
        >>> said.available.tolist(), round(float(said.probabilities.sum()), 6)
        ([[False, False, True]], 1.0)
    """

    labels: np.ndarray
    probabilities: np.ndarray
    label_names: tuple[str, ...]
    available: np.ndarray
    neighbours: tuple[tuple[Neighbour, ...], ...] = ()

    def missing(self, clip: int) -> tuple[str, ...]:
        """Names of the modalities that a clip lacked."""
        return tuple(m for i, m in enumerate(MODALITIES) if not self.available[clip, i])


@dataclass(frozen=True)
class _Replicate:
    indexes: dict[str, DatabaseIndex]
    database: Database | None
    method: Method


class Predictor:
    """All replicates of one method; probabilities are their mean. Predicting changes nothing in it: thread-safe.

    Example:
        >>> predictor = Predictor.load(project, method="ramer")
        >>> said = predictor.predict({"audio": [0.1] * predictor.dims["audio"]}, neighbours=True)
        >>> said.labels.shape, said.missing(0), {n.target for n in said.neighbours[0]} == {"video", "text"}
        ((1,), ('video', 'text'), True)
    """

    def __init__(self, files: ModelFiles) -> None:
        self.description = files.description
        self.label_names = files.description.label_names
        self.dims = files.description.dims
        self.feature_folders = files.description.feature_folders
        self._table = files.read_database() if files.retrieves else None
        self._encoders = {m: _load_encoders(files, m) for m in MODALITIES if self.dims[m]}
        self._replicates = [
            _load_replicate(files, i, self._table, self._encoders) for i in range(len(files.replicates))
        ]
        databases = [r.database for r in self._replicates if r.database is not None]
        methods = [r.method for r in self._replicates]
        indexes = [r.indexes for r in self._replicates if r.database is not None]
        self._indexes = stack_indexes(indexes, databases, self.description.retrieval.model_dump())
        self._stack = None
        self._searches_itself = isinstance(methods[0], Ramer) and methods[0].tunes  # with what its own encoders say
        if self._table is not None and StackedRamer.fits(methods, databases):
            self._stack = StackedRamer(methods, databases, self._table.states)

    @classmethod
    def load(cls, path: str | Path, method: str | None = None, verify: bool = True) -> Predictor:
        """Load a project's model, an exported or a registered one.

        Args:
            path: a project whose pipeline has run, a folder that ``export_model`` wrote, or ``models:/name@alias``.
            method: a method of the project; its ``serve.method`` if None.
            verify: compare every file with the digest that was kept when it was written.

        Raises:
            RamerError: nothing there, a file is damaged, or its parts do not fit each other.
        """
        with open_model(path, method, verify) as files:
            return cls(files)

    def predict(self, features: Mapping[str, Any], neighbours: bool = False) -> Prediction:
        """Emotions of n clips.

        Args:
            features: per modality raw vectors [n, dim] (or [dim] for one clip); a NaN or all-zero row, None or an
                absent key is missing. A clip that has nothing gets the training prior.
            neighbours: also say which clips stood in.

        Raises:
            RamerError: a matrix of another shape than the model's, or a row that is partly NaN or infinite.
        """
        available, arrays = self._encode(features)
        states = arrays[1]
        lists = self._lists(states, available)
        total: np.ndarray | None = None
        found: Sequence[Selected | None] = [None] * len(lists)
        known = [held for held in lists if held is not None]
        if self._stack is not None and 0 < len(available) <= FEW and known:  # for many clips there is nothing to gain
            selected = self._stack.find(states, available, known)
            every = self._stack.predict_proba(states, available, selected)
            total = None if every is None else every.sum(axis=0)
            if total is None or neighbours:
                found = self._stack.split(selected, len(available))

        def batch(position: int) -> Batch:
            """As that replicate's method sees the clips."""
            nowhere = np.full(len(available), -1, dtype=np.int64)  # in the corpus
            own, hidden, posteriors = ({m: a[position] for m, a in kind.items()} for kind in arrays)
            near, base = lists[position], self._replicates[position].database
            return Batch(nowhere, available, own, hidden, posteriors, near, base, found=found[position])

        if total is None:
            total = np.sum([r.method.predict_proba(batch(i)) for i, r in enumerate(self._replicates)], axis=0)
        named = self._named(self._replicates[0].method, batch(0)) if neighbours else ()
        proba = total / len(self._replicates)
        check_finite(proba, "probabilities")
        labels = np.array(self.label_names, dtype=object)[proba.argmax(axis=1)]
        return Prediction(labels, proba, self.label_names, available, named)

    def encode(self, features: Mapping[str, Any]) -> tuple[np.ndarray, Arrays]:
        """What each of n clips holds, bool [n, 3], and its hidden states per modality, float32 [replicates, n, hidden]
        (not normalised), NaN where missing: those of the pretrained encoders, which the database holds.

        Raises:
            RamerError: as ``predict``.
        """
        available, (_, states, _) = self._encode(features)
        return available, states

    def _encode(self, features: Mapping[str, Any]) -> tuple[np.ndarray, list[Arrays]]:
        raw = self.vectors(features)
        available = np.stack([np.isfinite(raw[m]).all(axis=1) & (self.dims[m] > 0) for m in MODALITIES], axis=1)
        encoded = {
            m: encoders.encode(raw[m][held])
            for (m, encoders), held in zip(self._encoders.items(), self._held(available), strict=True)
            if held.any()
        }
        for m, (_, states, _) in encoded.items():
            check_finite(states, f"{m}: hidden states")  # some methods would take them for missing
        return available, self._arrays(encoded, available)

    def _held(self, available: np.ndarray) -> list[np.ndarray]:
        return [available[:, MODALITIES.index(m)] for m in self._encoders]

    def _named(self, method: Method, batch: Batch) -> tuple[tuple[Neighbour, ...], ...]:
        if self._table is None:
            return ((),) * len(batch)
        return name_neighbours(method, batch, self._table.ids, self._table.labels[0])

    def vectors(self, features: Mapping[str, Any]) -> Arrays:
        """Raw vectors float32 [n, dim] of every modality as ``predict`` understands them, NaN rows where missing.

        Raises:
            RamerError: as ``predict``.
        """
        faults = [
            f"features: {name}: no such modality, expected {', '.join(MODALITIES)}"
            for name in features
            if name not in MODALITIES
        ]
        given: Arrays = {}
        for m in MODALITIES:
            if features.get(m) is None:
                continue
            try:
                with np.errstate(over="ignore"):
                    given[m] = np.atleast_2d(np.asarray(features[m], dtype=np.float32))
            except (ValueError, TypeError):
                faults.append(f"{m}: expected vectors of {self.dims[m]} numbers, got {type(features[m]).__name__}")
        if faults or not given:
            raise RamerError(faults or "features: every modality is absent, expected at least one")
        n = len(next(iter(given.values())))
        raw = {m: np.full((n, self.dims[m]), np.nan, dtype=np.float32) for m in MODALITIES}
        for m, vectors in given.items():
            if not self.dims[m]:
                faults.append(f"{m}: the model was trained without it, expected None")
            elif vectors.shape != (n, self.dims[m]):
                faults.append(f"{m}: expected {n} x {self.dims[m]} numbers, got {' x '.join(map(str, vectors.shape))}")
            else:
                raw[m] = mark_missing(vectors)
                partly = np.flatnonzero(~np.isfinite(raw[m]).all(axis=1) & ~np.isnan(raw[m]).all(axis=1))
                faults += [f"{m}: row {row}: infinite or partly NaN, expected finite numbers" for row in partly[:5]]
        if faults:
            raise RamerError(faults)
        return raw

    def _arrays(self, encoded: Mapping[str, Encodings], available: np.ndarray) -> list[Arrays]:
        """Features, states and posteriors [replicates, n, width], NaN where a clip lacks the modality."""
        shape = self._replicates[0].method.shape
        arrays: list[Arrays] = [{}, {}, {}]
        for i, m in enumerate(MODALITIES):
            for kind, width in enumerate((shape.feature_dims[m], shape.state_dims[m], shape.classes)):
                if m in encoded and len(available) == encoded[m].states.shape[1]:
                    arrays[kind][m] = encoded[m][kind]
                    continue
                size = (len(self._replicates), len(available), width)
                arrays[kind][m] = np.full(size, np.nan, dtype=np.float32)
                if m in encoded:
                    arrays[kind][m][:, available[:, i]] = encoded[m][kind]
        return arrays

    def _lists(self, states: Arrays, available: np.ndarray) -> list[Lists | None]:
        """Per replicate, neighbours in the space of every available modality, as the stage ``retrieve`` finds them."""
        if not self._indexes:
            return [None] * len(self._replicates)
        shape = (len(self._replicates), len(available), self.description.retrieval.width)
        rows = {m: np.full(shape, -1, dtype=np.int32) for m in MODALITIES}
        scores = {m: np.full(shape, np.nan, dtype=np.float32) for m in MODALITIES}
        wanted = np.ones(len(available), dtype=bool)
        if isinstance(self._replicates[0].method, ImputingMethod):  # nothing stands in where nothing is missing
            wanted = ~np.all(self._held(available), axis=0)
        if self._searches_itself:
            wanted[:] = False
        for (m, index), held in zip(self._indexes.items(), self._held(available), strict=True):
            asked = np.flatnonzero(held & wanted)
            if len(asked):
                rows[m][:, asked], scores[m][:, asked] = index.search(states[m][:, asked])
        return [
            Lists({m: rows[m][r] for m in MODALITIES}, {m: scores[m][r] for m in MODALITIES})
            for r in range(len(self._replicates))
        ]


def name_neighbours(
    method: Method, batch: Batch, ids: np.ndarray, labels: np.ndarray
) -> tuple[tuple[Neighbour, ...], ...]:
    """Per row the clips that stand in for what it lacks, best first; empty for a method without ``find``.

    Args:
        ids, labels: of the database rows [rows].
    """
    find = getattr(method, "find", None)
    if find is None:
        return ((),) * len(batch)
    selected = find(batch)
    return tuple(
        tuple(
            Neighbour(m, str(ids[row]), float(score), labels[row])
            for i, m in enumerate(MODALITIES)
            for row, score in zip(rows[i], scores[i], strict=True)
            if row >= 0
        )
        for rows, scores in zip(selected.rows, selected.scores, strict=True)
    )


def _load_encoders(files: ModelFiles, modality: str) -> StackedEncoders:
    paths = [files.encoders / modality / f"{name}.safetensors" for name in files.replicates]
    members = [load_encoder(path) for path in paths]
    expected = files.description.dims[modality]
    faults = [
        f"{path}: expected an encoder of {expected} features, got {encoder.input_dim}"
        for path, (encoder, _) in zip(paths, members, strict=True)
        if encoder.input_dim != expected
    ]
    if faults:
        raise ModelError(faults)
    return StackedEncoders(members)


def _load_replicate(
    files: ModelFiles, position: int, table: DatabaseTable | None, encoders: Mapping[str, StackedEncoders]
) -> _Replicate:
    name = files.replicates[position]
    head = files.heads / f"{name}.safetensors"
    with refuse_torn(files.heads / "method.json"):
        trained = dict(read_json(files.heads / "method.json")["replicates"])
    if not head.is_file() or name not in trained or digest_file(head) != trained[name]["digest"]:
        raise ModelError(f"{head}: not the checkpoint that method.json describes; train again")
    method = load_method(head)
    expected = (files.description.dims, files.description.label_names)
    if (method.shape.feature_dims, method.shape.label_names) != expected:
        raise ModelError(f"{head}: was trained on other features or labels than {files.description.corpus.name}")
    if table is None:
        return _Replicate({}, None, method)
    indexes = {m: _load_index(files, m, name, table) for m in MODALITIES if files.description.dims[m]}
    available = np.zeros_like(table.available)
    for i, m in enumerate(MODALITIES):
        if m in indexes:
            available[indexes[m].rows, i] = True
    labels = {label: i for i, label in enumerate(files.description.label_names)}
    codes = np.array([labels.get(label, -1) for label in table.labels[position]], dtype=np.int64)
    # Plain views of what is memory-mapped: taking rows of a memmap costs many times as much.
    shuffle = Shuffle.draw(name, available, codes >= 0) if SHUFFLED in method.inputs else None
    features = {m: StandardisedRows(np.asarray(v[0]), encoders[m].scalers[position]) for m, v in table.features.items()}
    live = Live(features, indexes, np.arange(len(available))) if files.encodes else None
    states = {m: np.asarray(s[position]) for m, s in table.states.items()}
    database = Database(states, available, codes, shuffle, live)
    _ = database.norms  # computed once and kept: no clip waits for it
    if isinstance(method, Ramer):
        method.prepare(database)
    return _Replicate(indexes, database, method)


def _load_index(files: ModelFiles, modality: str, name: str, table: DatabaseTable) -> DatabaseIndex:
    """An index whose rows are positions in the database table."""
    path = files.index / modality / f"{name}.faiss"
    digest = digest_file(files.encoders / modality / f"{name}.safetensors")
    index = load_index(path, expected_encoder_digest=digest)
    places = np.searchsorted(table.rows, index.rows)
    known = np.append(table.rows, -1)[places] == index.rows
    if not known.all() or (table.ids[places] != np.array(index.sidecar["ids"], dtype=object)).any():
        raise ModelError(f"{path}: names rows that the database does not hold; build the index again")
    return DatabaseIndex(index.faiss_index, places, index.sidecar)
