"""Mean of the unimodal encoders' posteriors over the available modalities: late fusion without any training."""

from __future__ import annotations

from typing import Self

import numpy as np

from ramer.inputs import POSTERIORS
from ramer.methods.shared.contract import Method
from ramer.modalities import MODALITIES
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch


class UnimodalEnsemble(Method):
    """The sum rule of Kittler et al. (1998) over what is there."""

    inputs = frozenset({POSTERIORS})
    uses_device = False

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        return Fitted(0, selection(lambda c: self.predict_proba(val.under(c)), val, self.prior_))

    def posterior(self, batch: Batch) -> np.ndarray:
        stacked = np.stack([batch.posteriors[m] for m in MODALITIES], axis=1).astype(np.float64)
        held = batch.available[:, :, None]
        total: np.ndarray = np.where(held, stacked, 0.0).sum(axis=1) / held.sum(axis=1)
        return total / total.sum(axis=1, keepdims=True)

    def tensors(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        return self
