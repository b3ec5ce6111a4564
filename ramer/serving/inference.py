"""How all replicates predict, chosen when a model loads: one after the other, or at once for a few clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from ramer.methods.shared.stacked_method import StackedMethod
from ramer.modalities import MODALITIES
from ramer.retrieval.fetching import FEW
from ramer.retrieval.stacked_indexes import StackedIndexes
from ramer.retrieval.structures import Database, Lists, Selected
from ramer.serving.replicate_model import ReplicateModel
from ramer.serving.stacked_encoders import StackedEncoders
from ramer.serving.torn import check_finite
from ramer.training.batches import Arrays


class Inferred(NamedTuple):
    """What a model says of n clips.

    Attributes:
        probabilities: float64 [n, classes], the mean over replicates.
        selected: the first replicate's neighbours; None of a method in which nothing stands in, or where not asked for.
    """

    probabilities: np.ndarray
    selected: Selected | None


@runtime_checkable
class Inference(Protocol):
    """A way in which all replicates predict."""

    def infer(self, raw: Mapping[str, np.ndarray], available: np.ndarray, neighbours: bool) -> Inferred:
        """Probabilities of n clips.

        Args:
            raw: float32 [n, dim] per modality, finite where available.
            available: bool [n, 3].
            neighbours: whether ``selected`` is wanted.
        """
        ...


@dataclass(frozen=True)
class PerReplicate:
    """One replicate after the other.

    Attributes:
        replicates: of the model.
    """

    replicates: Sequence[ReplicateModel]

    def infer(self, raw: Mapping[str, np.ndarray], available: np.ndarray, neighbours: bool) -> Inferred:
        first = self.replicates[0].batch(raw, available)
        each = [self.replicates[0].method.predict_proba(first)]
        # One batch at a time: each holds features, states and lists of all clips.
        each += [r.method.predict_proba(r.batch(raw, available)) for r in self.replicates[1:]]
        selected = self.replicates[0].method.neighbours_of(first) if neighbours else None
        return Inferred(np.sum(each, axis=0) / len(each), selected)


class Stacked:
    """A few clips in all replicates at once, many clips in one replicate after the other.

    Args:
        replicates: of the model.
        databases: theirs.
        method: theirs, at once.
    """

    def __init__(
        self, replicates: Sequence[ReplicateModel], databases: Sequence[Database], method: StackedMethod
    ) -> None:
        self._many = PerReplicate(replicates)
        self._method = method
        self._first, self._hidden = replicates[0].method, replicates[0].method.shape.state_dims
        self._width, rerank = replicates[0].search
        self._encoders = {m: StackedEncoders([r.encoders[m] for r in replicates]) for m in replicates[0].encoders}
        self._indexes = {
            m: StackedIndexes(
                [r.indexes[m] for r in replicates],
                [database.states[m] for database in databases],
                [database.norms[m] for database in databases],
                self._width,
                rerank,
            )
            for m in replicates[0].indexes
        }

    def infer(self, raw: Mapping[str, np.ndarray], available: np.ndarray, neighbours: bool) -> Inferred:
        if not 0 < len(available) <= FEW:
            return self._many.infer(raw, available, neighbours)
        states = self._encode(raw, available)
        proba, selected = self._method.predict(states, available, self._lists(states, available))
        return Inferred(proba.sum(axis=0) / len(proba), selected if neighbours else None)

    def _encode(self, raw: Mapping[str, np.ndarray], available: np.ndarray) -> Arrays:
        """Hidden states [replicates, n, hidden] per modality, NaN where missing."""
        replicates = len(self._many.replicates)
        states = {
            m: np.full((replicates, len(available), self._hidden[m]), np.nan, dtype=np.float32) for m in MODALITIES
        }
        for m, encoders in self._encoders.items():
            held = available[:, MODALITIES.index(m)]
            if held.any():
                states[m][:, held] = encoders.encode(raw[m][held])
                check_finite(states[m][:, held], f"{m}: hidden states")
        return states

    def _lists(self, states: Arrays, available: np.ndarray) -> list[Lists]:
        replicates = range(len(self._many.replicates))
        shape = (len(replicates), len(available), self._width)
        rows = {m: np.full(shape, -1, dtype=np.int32) for m in MODALITIES}
        scores = {m: np.full(shape, np.nan, dtype=np.float32) for m in MODALITIES}
        asked = available & self._first.reads_lists(available)[:, None]
        for m, index in self._indexes.items():
            part = np.flatnonzero(asked[:, MODALITIES.index(m)])
            if len(part):
                rows[m][:, part], scores[m][:, part] = index.search(states[m][:, part])
        return [Lists({m: rows[m][r] for m in MODALITIES}, {m: scores[m][r] for m in MODALITIES}) for r in replicates]


def choose_inference(replicates: Sequence[ReplicateModel], states: Mapping[str, np.ndarray]) -> Inference:
    """The fastest way in which these replicates can predict.

    Args:
        states: of their databases, [replicates, rows, hidden] per modality.
    """
    databases = [r.database for r in replicates if r.database is not None]
    if len(databases) < len(replicates):
        return PerReplicate(replicates)
    methods = [r.method for r in replicates]
    stacked = type(methods[0]).stack(methods, databases, states)
    return PerReplicate(replicates) if stacked is None else Stacked(replicates, databases, stacked)
