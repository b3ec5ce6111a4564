"""The training class frequencies, whatever the input: the floor of every table."""

from __future__ import annotations

from typing import Self

import numpy as np

from ramer.methods.shared.contract import Method
from ramer.modalities import CONDITIONS
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch


class Prior(Method):
    """Predicts the prior of the labelled training rows."""

    uses_device = False

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        proba = np.tile(self.prior_, (len(val), 1))
        return Fitted(0, selection(dict.fromkeys(CONDITIONS, proba).__getitem__, val, self.prior_))

    def posterior(self, batch: Batch) -> np.ndarray:
        return np.tile(self.prior_, (len(batch), 1))

    def tensors(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        return self
