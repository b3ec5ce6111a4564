"""Zeros stand in for a missing state; the mask bits tell the head so."""

from __future__ import annotations

import numpy as np

from ramer.methods.shared.imputing import Filled, ImputingMethod
from ramer.training.batches import Batch


class ZeroFill(ImputingMethod):
    """The plain baseline of every missing-modality table."""

    def fill(self, batch: Batch) -> Filled:
        return Filled(self.zeros(batch), np.zeros_like(batch.available))
