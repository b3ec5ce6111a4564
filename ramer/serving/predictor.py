"""A trained model as an object: features with anything missing in, emotions out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ramer.array_files import in_single
from ramer.errors import ModelError, RamerError
from ramer.evaluation.conformal import Judged, judge, patterns
from ramer.modalities import MODALITIES
from ramer.retrieval.structures import Selected
from ramer.serving.features import mark_missing
from ramer.serving.inference import Inference, choose_inference
from ramer.serving.model import ModelFiles
from ramer.serving.modelfiles import open_model
from ramer.serving.replicate_files import load_replicate
from ramer.serving.torn import check_finite
from ramer.training.batches import Arrays


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
        method: that said so, by its name in the project.
        sets: per clip, the classes of which the true one is one as often as asked, the most probable first; empty
            unless a coverage was asked for.
        answered: bool [n], False where too many such answers would be wrong; None unless a risk was named.
        notes: what validation rows did not suffice for, a line each.

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
    method: str = ""
    sets: tuple[tuple[str, ...], ...] = ()
    answered: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def missing(self, clip: int) -> tuple[str, ...]:
        """Names of the modalities that a clip lacked."""
        return tuple(m for i, m in enumerate(MODALITIES) if not self.available[clip, i])


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
        self.conformal = files.conformal.pooled if files.conformal is not None else None
        self._table = files.read_database() if files.retrieves else None
        self.replicates = [load_replicate(files, i, self._table) for i in range(len(files.replicates))]
        self.inference: Inference = choose_inference(self.replicates, {} if self._table is None else self._table.states)

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

    def predict(
        self,
        features: Mapping[str, Any],
        neighbours: bool = False,
        *,
        coverage: float | None = None,
        risk: float | None = None,
    ) -> Prediction:
        """Emotions of n clips.

        Args:
            features: per modality raw vectors [n, dim] (or [dim] for one clip); a NaN or all-zero row, None or an
                absent key is missing. A clip that has nothing gets the training prior.
            neighbours: also say which clips stood in.
            coverage: also give sets that hold the true emotion of this share of clips like those of validation.
            risk: also say where to be silent, so that no larger share of the answers is wrong.

        Raises:
            ModelError: a coverage or a risk, of a model that was made before sets were.
            RamerError: one is not between 0 and 1, a matrix of another shape than the model's, or a row that is partly
                NaN or infinite.
        """
        raw = self.vectors(features)
        available = self._available(raw)
        proba, selected = self.inference.infer(raw, available, neighbours)
        check_finite(proba, "probabilities")
        labels = np.array(self.label_names, dtype=object)[proba.argmax(axis=1)]
        judged = self._judge(proba, available, coverage, risk)
        named = self._named(selected, len(labels)) if neighbours else ()
        sets = () if judged.members is None else _named_sets(proba, judged.members, self.label_names)
        said = Prediction(labels, proba, self.label_names, available, named, self.description.method)
        return replace(said, sets=sets, answered=judged.answered, notes=judged.notes)

    def check_judges(self, coverage: float | None, risk: float | None) -> None:
        """Refuse a coverage or a risk before any work.

        Raises:
            RamerError: as ``predict``.
        """
        self._judge(np.empty((0, len(self.label_names))), np.empty((0, len(MODALITIES)), dtype=bool), coverage, risk)

    def _judge(self, proba: np.ndarray, available: np.ndarray, coverage: float | None, risk: float | None) -> Judged:
        if coverage is None and risk is None:
            return Judged(None, None, ())
        if self.conformal is None:
            raise ModelError(
                "the model holds nothing that sets follow from: run `dvc repro` in its project, then export it again"
            )
        return judge(self.conformal, proba, patterns(available), coverage, risk)

    def encode(self, features: Mapping[str, Any]) -> tuple[np.ndarray, Arrays]:
        """What each of n clips holds, bool [n, 3], and its hidden states per modality, float32 [replicates, n, hidden]
        (not normalised), NaN where missing: those of the pretrained encoders, which the database holds.

        Raises:
            RamerError: as ``predict``.
        """
        raw = self.vectors(features)
        available = self._available(raw)
        each = [replicate.encode(raw, available)[1] for replicate in self.replicates]
        return available, {m: np.stack([states[m] for states in each]) for m in MODALITIES}

    def _available(self, raw: Arrays) -> np.ndarray:
        return np.stack([np.isfinite(raw[m]).all(axis=1) & (self.dims[m] > 0) for m in MODALITIES], axis=1)

    def _named(self, selected: Selected | None, clips: int) -> tuple[tuple[Neighbour, ...], ...]:
        if self._table is None or selected is None:
            return ((),) * clips
        return name_neighbours(selected, self._table.ids, self._table.labels[0])

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
                given[m] = np.atleast_2d(in_single(features[m]))
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


def _named_sets(proba: np.ndarray, members: np.ndarray, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    order = np.argsort(-proba, axis=1, kind="stable")
    return tuple(tuple(names[c] for c in row if held[c]) for row, held in zip(order, members, strict=True))


def name_neighbours(selected: Selected, ids: np.ndarray, labels: np.ndarray) -> tuple[tuple[Neighbour, ...], ...]:
    """Per row the clips that stand in for what it lacks, best first.

    Args:
        ids, labels: of the database rows [rows].
    """
    return tuple(
        tuple(
            Neighbour(m, str(ids[row]), float(score), labels[row])
            for i, m in enumerate(MODALITIES)
            for row, score in zip(rows[i], scores[i], strict=True)
            if row >= 0
        )
        for rows, scores in zip(selected.rows, selected.scores, strict=True)
    )
