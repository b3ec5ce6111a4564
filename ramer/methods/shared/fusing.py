"""From rows and their neighbours to classes: what stands in, and the heads on frozen states that take it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import nn

from ramer.config import Training
from ramer.methods.shared.finding import Finder
from ramer.methods.shared.heads import (
    AttendedInputs,
    FusedInputs,
    HeadInputs,
    fit_head,
    neighbourhood,
    new_attending,
    new_fusion,
    probabilities,
)
from ramer.methods.shared.imputing import Filled, fuse, own_states
from ramer.methods.shared.live import LiveEncoders, encode_mean
from ramer.methods.shared.weights import take_weights, weights_of
from ramer.modalities import CONDITIONS
from ramer.nn.attention import AttendingClassifier
from ramer.nn.fusion import FusionClassifier
from ramer.retrieval.aggregation import aggregate
from ramer.retrieval.structures import Database, Rules, Selected
from ramer.seeding import seed_torch
from ramer.training.batches import Arrays, Batch
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.workspace import ModelShape


@runtime_checkable
class StandIns(Protocol):
    """How neighbours become the states of what is missing."""

    def fill(self, near: Selected, database: Database) -> Filled: ...


@dataclass(frozen=True)
class MeanStates:
    """The neighbours' states, weighted by ``rules`` and brought to unit length."""

    rules: Rules

    def fill(self, near: Selected, database: Database) -> Filled:
        found = aggregate(near, database, self.rules)
        return Filled(found.states, found.retrieved)


@dataclass(frozen=True)
class EncodedMeanFeatures:
    """The encoder's state of the neighbours' weighted mean features."""

    rules: Rules
    encoders: LiveEncoders
    device: str

    def fill(self, near: Selected, database: Database) -> Filled:
        return Filled(encode_mean(self.encoders, near, database, self.rules, self.device), near.retrieved)


@dataclass(frozen=True)
class HeadSettings:
    """What every head of a retrieving method is built from.

    Attributes:
        shape: of the model.
        training: the budget.
        device: of the weights.
        rules: how neighbours are weighed; ``tau`` is also where attention starts.
        attends: whether the weights of the neighbours are learned with the head.
        normalize_available: own states of length 1.
    """

    shape: ModelShape
    training: Training
    device: str
    rules: Rules
    attends: bool
    normalize_available: bool

    def new_head(self) -> FusionClassifier | AttendingClassifier:
        """An untrained head."""
        if self.attends:
            return new_attending(self.shape, self.training, self.rules.tau, self.device)
        return new_fusion(self.shape, self.training, self.device)

    def own(self, batch: Batch) -> Arrays:
        return own_states(batch, self.normalize_available)


class RetrievalHead(ABC):
    """A head at work: it sees a batch, has neighbours found in its lists, and decides."""

    finder: Finder

    @abstractmethod
    def fit(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        """Train with the budget, the masks and the selection of all heads."""

    @abstractmethod
    def posterior(self, batch: Batch) -> np.ndarray:
        """Class probabilities float64 [n, classes]."""

    def see(self, batch: Batch) -> Batch:
        """The batch with the states, lists and keys that the head works with: by default those that it holds."""
        return batch

    def prepare(self, database: Database) -> None:
        """Make what belongs to a database before the first batch needs it."""
        _ = database.norms

    @abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """All that was learnt, as arrays."""

    @abstractmethod
    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        """Take back what ``tensors`` gave; returns self."""


class FrozenHead(RetrievalHead):
    """A head on states and neighbours that do not change while it learns.

    Args:
        settings: of the head.
        finder: of the neighbours.
        stand_ins: from neighbours to states, for a head that does not attend to them itself.
    """

    def __init__(self, settings: HeadSettings, finder: Finder, stand_ins: StandIns) -> None:
        self.settings = settings
        self.finder = finder
        self.stand_ins = stand_ins
        self._prefix = "attending_." if settings.attends else "head_."

    def fit(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        inputs, held_out = self._inputs(train), self._inputs(val)
        seed_torch(int(rng.integers(2**31)), "head")
        self.head = self.settings.new_head()
        return fit_head(self.head, inputs, held_out, train, val, self.settings.training, rng, log)

    def _inputs(self, rows: LabelledRows) -> HeadInputs:
        batches = {c: rows.under(c) for c in CONDITIONS}
        if not self.settings.attends:
            fused = [self.fused(batch, self.finder.find(batch)) for batch in batches.values()]
            return FusedInputs(np.stack(fused), self.settings.device)
        own = {c: self.settings.own(batch) for c, batch in batches.items()}
        found = {c: self.finder.find(batch) for c, batch in batches.items()}
        return AttendedInputs(batches, own, found, self.settings.rules.normalize_values, self.settings.device)

    def fused(self, batch: Batch, near: Selected) -> np.ndarray:
        """The input of a head that does not attend, float32 [n, sum of hidden + 6]."""
        return fuse(batch, self.settings.own(batch), self.stand_ins.fill(near, batch.database))

    @property
    def layers(self) -> nn.Sequential:
        """Of a head that does not attend.

        Raises:
            ValueError: this one attends.
        """
        if not isinstance(self.head, FusionClassifier):
            raise ValueError("head: expected one that does not attend to neighbours")
        return self.head.layers

    def posterior(self, batch: Batch) -> np.ndarray:
        device, near = self.settings.device, self.finder.find(batch)
        with torch.inference_mode():
            if not self.settings.attends:
                return probabilities(self.head(torch.from_numpy(self.fused(batch, near)).to(device)))
            own = {m: torch.from_numpy(states).to(device) for m, states in self.settings.own(batch).items()}
            normalize = self.settings.rules.normalize_values
            return probabilities(
                self.head(neighbourhood(own, batch.available, near, batch.database, normalize, device))
            )

    def tensors(self) -> dict[str, np.ndarray]:
        return weights_of(self.head, self._prefix)

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.head = take_weights(self.settings.new_head(), tensors, self._prefix)
        return self
