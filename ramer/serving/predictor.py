"""A trained model as an object: features with anything missing in, emotions out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramer.batches import FEATURES, NEIGHBOURS, Batch
from ramer.data.prepared import Scaler
from ramer.errors import ModelError, RamerError
from ramer.files import digest_file
from ramer.methods import Method, load_method
from ramer.modalities import LETTERS, MODALITIES
from ramer.nn.encoder import UnimodalEncoder
from ramer.retrieval.aggregation import Database, Lists
from ramer.retrieval.index import DatabaseIndex, load_index
from ramer.retrieval.search import search
from ramer.serving.inputs import mark_missing
from ramer.serving.modelfiles import DatabaseTable, ModelFiles, find_model
from ramer.training.checkpoints import load_encoder
from ramer.training.dump import encode


@dataclass(frozen=True)
class Neighbour:
    """A clip that stood in for ``target``: its id, the score it was chosen by, its weight, its label if it has one."""

    target: str
    id: str
    score: float
    label: str | None


@dataclass(frozen=True)
class Prediction:
    """What a model says of n clips.

    Attributes:
        labels: [n] class names. probabilities: float64 [n, classes], averaged over replicates.
        label_names: the classes in order. available: bool [n, 3], what each clip held.
        neighbours: per clip, the clips that stood in for what it lacks (of the first replicate); empty unless asked.
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
    encoders: dict[str, tuple[UnimodalEncoder, Scaler]]
    indexes: dict[str, DatabaseIndex]
    database: Database | None
    method: Method


class Predictor:
    """All replicates of one method; probabilities are their mean. Predicting changes nothing in it: thread-safe."""

    def __init__(self, files: ModelFiles) -> None:
        self.description = files.description
        self.label_names = tuple(files.description["label_names"])
        self.dims: dict[str, int] = files.description["dims"]
        self.feature_folders: dict[str, str | None] = files.description["feature_folders"]
        self._width: int = files.description["retrieval"]["width"]
        self._table = files.read_database() if files.retrieves else None
        self._replicates = [_load_replicate(files, i, name, self._table) for i, name in enumerate(files.replicates)]

    @classmethod
    def load(cls, path: str | Path, method: str | None = None) -> Predictor:
        """Load a project's model or an exported one.

        Raises:
            ModelError: nothing there, or its parts do not fit each other.
        """
        return cls(find_model(Path(path), method))

    def predict(self, features: Mapping[str, Any], neighbours: bool = False) -> Prediction:
        """Emotions of n clips.

        Args:
            features: per modality raw vectors [n, dim] (or [dim] for one clip); a NaN or all-zero row, None or an
                absent key is missing.
            neighbours: also say which clips stood in.

        Raises:
            RamerError: a matrix of another shape than the model's, or a row that is partly NaN or infinite.
        """
        raw = self._check(features)
        n = len(next(iter(raw.values())))
        available = np.stack([np.isfinite(raw[m]).all(axis=1) for m in MODALITIES], axis=1)
        total = np.zeros((n, len(self.label_names)))
        named: tuple[tuple[Neighbour, ...], ...] = ()
        for position, replicate in enumerate(self._replicates):
            batch = self._batch(replicate, raw, available)
            total += replicate.method.predict_proba(batch)
            if neighbours and position == 0:
                named = self._name_neighbours(replicate.method, batch)
        proba = total / len(self._replicates)
        labels = np.array(self.label_names, dtype=object)[proba.argmax(axis=1)]
        return Prediction(labels, proba, self.label_names, available, named)

    def _check(self, features: Mapping[str, Any]) -> dict[str, np.ndarray]:
        unknown = sorted(set(features) - set(MODALITIES))
        if unknown:
            raise RamerError(f"features: unknown modality {', '.join(unknown)}, expected {', '.join(MODALITIES)}")
        given: dict[str, np.ndarray] = {}
        for m in MODALITIES:
            if features.get(m) is not None:
                given[m] = np.atleast_2d(np.asarray(features[m], dtype=np.float32))
        if not given:
            raise RamerError("features: every modality is absent, expected at least one")
        n = len(next(iter(given.values())))
        raw = {m: np.full((n, self.dims[m]), np.nan, dtype=np.float32) for m in MODALITIES}
        faults = []
        for m, vectors in given.items():
            if vectors.shape != (n, self.dims[m]):
                faults.append(f"{m}: expected {n} vectors of length {self.dims[m]}, got shape {vectors.shape}")
                continue
            raw[m] = mark_missing(vectors)
            partly = np.flatnonzero(~np.isfinite(raw[m]).all(axis=1) & ~np.isnan(raw[m]).all(axis=1))
            faults += [f"{m}: row {row}: holds NaN or infinite values beside finite ones" for row in partly[:5]]
        if faults:
            raise RamerError(faults)
        return raw

    def _batch(self, replicate: _Replicate, raw: dict[str, np.ndarray], available: np.ndarray) -> Batch:
        n = len(available)
        inputs = replicate.method.inputs
        features, states, posteriors = {}, {}, {}
        for m in MODALITIES:
            if m not in replicate.encoders:
                features[m] = raw[m]
                states[m] = np.full((n, replicate.method.shape.state_dims[m]), np.nan, dtype=np.float32)
                posteriors[m] = np.full((n, len(self.label_names)), np.nan, dtype=np.float32)
                continue
            encoder, scaler = replicate.encoders[m]
            if FEATURES in inputs:
                features[m] = scaler.apply(raw[m])
            if inputs - {FEATURES}:
                states[m], posteriors[m] = encode(encoder, scaler, raw[m])
        lists = self._lists(replicate, states, available) if NEIGHBOURS in inputs else None
        rows = np.full(n, -1, dtype=np.int64)
        return Batch(rows, available, features, states, posteriors, lists, replicate.database)

    def _lists(self, replicate: _Replicate, states: dict[str, np.ndarray], available: np.ndarray) -> Lists:
        assert replicate.database is not None
        n = len(available)
        rows = {m: np.full((n, self._width), -1, dtype=np.int32) for m in MODALITIES}
        scores = {m: np.full((n, self._width), np.nan, dtype=np.float32) for m in MODALITIES}
        for i, m in enumerate(MODALITIES):
            held = np.flatnonzero(available[:, i])
            if m in replicate.indexes and len(held):
                hits = search(replicate.indexes[m], replicate.database.states[m], states[m][held], self._width)
                rows[m][held], scores[m][held] = hits
        return Lists(rows, scores)

    def _name_neighbours(self, method: Method, batch: Batch) -> tuple[tuple[Neighbour, ...], ...]:
        find = getattr(method, "find", None)
        if find is None or self._table is None:
            return ((),) * len(batch)
        selected = find(batch)
        named = []
        for rows, scores in zip(selected.rows, selected.scores, strict=True):
            near = [
                Neighbour(m, str(self._table.ids[row]), float(score), self._table.labels[0, row])
                for i, m in enumerate(MODALITIES)
                for row, score in zip(rows[i], scores[i], strict=True)
                if row >= 0
            ]
            named.append(tuple(near))
        return tuple(named)


def prediction_csv(ids: list[str], prediction: Prediction) -> pd.DataFrame:
    """One row per clip: id, available (letters), predicted, ``p/<label>``."""
    letters = np.array(list(LETTERS.values()), dtype=object)
    table = pd.DataFrame(
        {
            "id": ids,
            "available": ["".join(letters[held]) for held in prediction.available],
            "predicted": prediction.labels,
        }
    )
    for i, name in enumerate(prediction.label_names):
        table[f"p/{name}"] = prediction.probabilities[:, i]
    return table


def _load_replicate(files: ModelFiles, position: int, name: str, table: DatabaseTable | None) -> _Replicate:
    encoders, indexes, digests = {}, {}, {}
    for m in MODALITIES:
        path = files.encoders / m / f"{name}.safetensors"
        if files.description["dims"][m]:
            encoders[m] = load_encoder(path)
            digests[m] = digest_file(path)
    database = None
    if table is not None:
        labels = {label: i for i, label in enumerate(files.description["label_names"])}
        codes = np.array([labels.get(label, -1) for label in table.labels[position]])
        for m in encoders:
            index = load_index(files.index / m / f"{name}.faiss", expected_encoder_digest=digests[m])
            places = np.searchsorted(table.rows, index.rows)
            if (places >= len(table.rows)).any() or (table.rows[places] != index.rows).any():
                raise ModelError(f"{files.index / m / name}.faiss: names rows that the database does not hold")
            indexes[m] = DatabaseIndex(index.faiss_index, places, index.sidecar)
        states = {m: states[position] for m, states in table.states.items()}
        database = Database(states, _allowed(table, indexes), codes)
    method = load_method(files.heads / f"{name}.safetensors")
    return _Replicate(encoders, indexes, database, method)


def _allowed(table: DatabaseTable, indexes: dict[str, DatabaseIndex]) -> np.ndarray:
    """bool [n, 3]: what this replicate's own database holds, which its indexes say."""
    allowed = np.zeros_like(table.available)
    for i, m in enumerate(MODALITIES):
        if m in indexes:
            allowed[indexes[m].rows, i] = True
    return allowed
