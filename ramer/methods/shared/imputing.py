"""What all methods share that fill missing states and then classify the concatenation.

The only difference between zero-fill, mean-fill, regression and the oracle is ``fill``: same states, same masks, same
head, same budget. That is what makes their comparison one of imputation.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, Self

import numpy as np
import torch

from ramer.inputs import STATES
from ramer.methods.shared.contract import Method, OptionsT
from ramer.methods.shared.heads import FusedInputs, fit_head, new_fusion, probabilities
from ramer.methods.shared.weights import take_weights, weights_of
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.seeding import seed_torch
from ramer.training.batches import Arrays, Batch
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.workspace import ModelShape


class Filled(NamedTuple):
    """What stands in for missing states.

    Attributes:
        states: float32 [n, hidden] per modality, zeros where nothing stands in.
        imputed: bool [n, 3].
    """

    states: Arrays
    imputed: np.ndarray


def normalised(states: np.ndarray) -> np.ndarray:
    """Rows of unit length; NaN (missing) and zero rows become zeros."""
    states = np.where(np.isnan(states), np.float32(0), states)
    length = np.sqrt((states * states).sum(axis=1, keepdims=True))
    return states / np.maximum(length, 1e-12)


def own_states(batch: Batch, normalize: bool = True) -> Arrays:
    """The rows' own states, float32 [n, hidden] per modality, zeros where unavailable."""
    states = {}
    for i, m in enumerate(MODALITIES):
        own = np.where(batch.available[:, i, None], batch.states[m], np.float32(0))
        states[m] = normalised(own) if normalize else own
    return states


def fuse(batch: Batch, own: Arrays, filled: Filled) -> np.ndarray:
    """A fusion head's input, float32 [n, sum of hidden + 6]: own states, others where they are missing, and bits."""
    columns = [np.where(batch.available[:, i, None], own[m], filled.states[m]) for i, m in enumerate(MODALITIES)]
    bits = np.concatenate([batch.available, filled.imputed & ~batch.available], axis=1)
    return np.concatenate([*columns, bits], axis=1, dtype=np.float32)


def lacks_something(available: np.ndarray, shape: ModelShape) -> np.ndarray:
    """Which rows lack a modality that the corpus has; bool [n, 3] to bool [n]."""
    present = np.array([shape.feature_dims[m] > 0 for m in MODALITIES])
    return np.asarray((~available & present).any(axis=1))


class ImputingMethod(Method[OptionsT]):
    """Fill what is missing, then classify [h_a, h_v, h_t, available bits, imputed bits]."""

    inputs = frozenset({STATES})

    def learn_fill(self, train: TrainingBatch) -> None:
        """Learn what ``fill`` needs from the training rows; nothing by default."""

    @abstractmethod
    def fill(self, batch: Batch) -> Filled:
        """States that stand in for missing modalities; available ones are ignored."""

    def fused(self, batch: Batch) -> np.ndarray:
        """The head's input, float32 [n, sum of hidden + 6]."""
        return fuse(batch, own_states(batch), self.fill(batch))

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        self.learn_fill(train)
        return self.fit_head(train, val, rng, log)

    def fit_head(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        """Train the head on inputs that are computed once: states and what fills them are constants."""
        inputs, held_out = (
            FusedInputs(np.stack([self.fused(rows.under(c)) for c in CONDITIONS]), self.device) for rows in (train, val)
        )
        seed_torch(int(rng.integers(2**31)), "head")
        self.head_ = new_fusion(self.shape, self.training, self.device)
        return fit_head(self.head_, inputs, held_out, train, val, self.training, rng, log)

    def posterior(self, batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            return probabilities(self.head_(torch.from_numpy(self.fused(batch)).to(self.device)))

    def tensors(self) -> dict[str, np.ndarray]:
        return weights_of(self.head_, "head_.")

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.head_ = take_weights(new_fusion(self.shape, self.training, self.device), tensors, "head_.")
        return self

    def zeros(self, batch: Batch) -> Arrays:
        return {m: np.zeros((len(batch), self.shape.state_dims[m]), dtype=np.float32) for m in MODALITIES}
