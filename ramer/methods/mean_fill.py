"""The mean normalised training state stands in for a missing one."""

from __future__ import annotations

from typing import Self

import numpy as np

from ramer.methods.shared.imputing import Filled, ImputingMethod, normalised
from ramer.modalities import MODALITIES
from ramer.training.batches import Batch
from ramer.training.labelled_rows import TrainingBatch


class MeanFill(ImputingMethod):
    """Means are learnt from labelled training rows that hold the modality."""

    def learn_fill(self, train: TrainingBatch) -> None:
        self.means_: dict[str, np.ndarray] = {}
        for i, m in enumerate(MODALITIES):
            held = train.complete.available[:, i]
            states = normalised(train.complete.states[m][held])
            self.means_[m] = states.mean(axis=0) if held.any() else np.zeros(self.shape.state_dims[m], np.float32)

    def fill(self, batch: Batch) -> Filled:
        states = {m: np.tile(self.means_[m], (len(batch), 1)) for m in MODALITIES}
        return Filled(states, np.zeros_like(batch.available))

    def tensors(self) -> dict[str, np.ndarray]:
        return super().tensors() | {f"means_.{m}": a for m, a in self.means_.items()}

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.means_ = {m: tensors[f"means_.{m}"] for m in MODALITIES}
        return super().restore(tensors)
