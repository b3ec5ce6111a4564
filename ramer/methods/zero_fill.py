"""Zeros stand in for a missing state; the mask bits tell the head so."""

from __future__ import annotations

import numpy as np

from ramer.batches import Batch
from ramer.methods._imputing import Filled, ImputingMethod


class ZeroFill(ImputingMethod):
    """The plain baseline of every missing-modality table."""

    def fill(self, batch: Batch) -> Filled:
        return Filled(self.zeros(batch), np.zeros_like(batch.available))
