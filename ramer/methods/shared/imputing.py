"""What all methods share that fill missing states and then classify the concatenation.

The only difference between zero-fill, mean-fill, retrieval and the oracle is ``fill``: same states, same masks,
same head, same budget. That is what makes their comparison one of imputation.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, Self

import numpy as np
import torch

from ramer.inputs import STATES
from ramer.methods.shared.contract import Method, take_weights, weights_of
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.nn.fusion import FusionClassifier
from ramer.seeding import seed_torch
from ramer.training.batches import Batch, LabelledRows, TrainingBatch
from ramer.training.loop import Fitted, History, fit_epochs, selection


class Filled(NamedTuple):
    """states: float32 [n, hidden] per modality, zeros where nothing stands in. imputed: bool [n, 3]."""

    states: dict[str, np.ndarray]
    imputed: np.ndarray


def normalised(states: np.ndarray) -> np.ndarray:
    """Rows of unit length; NaN (missing) and zero rows become zeros."""
    states = np.where(np.isnan(states), np.float32(0), states)
    length = np.sqrt((states * states).sum(axis=1, keepdims=True))
    return states / np.maximum(length, 1e-12)


class ImputingMethod(Method):
    """Fill what is missing, then classify [h_a, h_v, h_t, available bits, imputed bits]."""

    inputs = frozenset({STATES})
    normalises_available = True

    def learn_fill(self, train: TrainingBatch) -> None:
        """Learn what ``fill`` needs from the training rows; nothing by default."""

    @abstractmethod
    def fill(self, batch: Batch) -> Filled:
        """States that stand in for missing modalities; available ones are ignored."""

    def own(self, batch: Batch) -> dict[str, np.ndarray]:
        """The rows' own states, float32 [n, hidden] per modality, zeros where unavailable."""
        states = {}
        for i, m in enumerate(MODALITIES):
            own = np.where(batch.available[:, i, None], batch.states[m], np.float32(0))
            states[m] = normalised(own) if self.normalises_available else own
        return states

    def fused(self, batch: Batch) -> np.ndarray:
        """The head's input, float32 [n, sum of hidden + 6]."""
        filled, own = self.fill(batch), self.own(batch)
        columns = [np.where(batch.available[:, i, None], own[m], filled.states[m]) for i, m in enumerate(MODALITIES)]
        bits = np.concatenate([batch.available, filled.imputed & ~batch.available], axis=1)
        return np.concatenate([*columns, bits], axis=1, dtype=np.float32)

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        self.learn_fill(train)
        return self.fit_head(train, val, rng, log)

    def fit_head(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        """Train the head on inputs that are computed once: states and neighbours are constants."""
        inputs = torch.from_numpy(np.stack([self.fused(train.under(c)) for c in CONDITIONS])).to(self.device)
        held_out = torch.from_numpy(np.stack([self.fused(val.under(c)) for c in CONDITIONS])).to(self.device)
        labels = torch.from_numpy(train.labels).to(self.device)
        seed_torch(int(rng.integers(2**31)), "head")
        self.head_ = self._new_head(inputs.shape[-1])

        def loss(positions: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
            scores = self.head_(inputs[conditions, positions])
            return torch.nn.functional.cross_entropy(scores, labels[positions])

        def validate() -> float:
            scores = dict(zip(CONDITIONS, self.head_(held_out).cpu().numpy(), strict=True))
            return selection(scores.__getitem__, val, self.prior_)

        return fit_epochs(self.head_, loss, validate, train, self.training, rng, log)

    def posterior(self, batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            scores = self.head_(torch.from_numpy(self.fused(batch)).to(self.device))
            return scores.double().softmax(dim=1).cpu().numpy()

    def tensors(self) -> dict[str, np.ndarray]:
        return weights_of(self.head_, "head_.")

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        width = sum(self.shape.state_dims.values()) + 2 * len(MODALITIES)
        self.head_ = take_weights(self._new_head(width), tensors, "head_.")
        return self

    def _new_head(self, width: int) -> FusionClassifier:
        head = FusionClassifier(width, self.training.hidden, self.shape.classes, self.training.dropout)
        return head.to(self.device)

    def zeros(self, batch: Batch) -> dict[str, np.ndarray]:
        return {m: np.zeros((len(batch), self.shape.state_dims[m]), dtype=np.float32) for m in MODALITIES}
