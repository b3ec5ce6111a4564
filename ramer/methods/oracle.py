"""The true states of the missing modalities stand in: a reference that sees what is missing, not deployable.

It says what perfect imputation would give this head on these states. It is no ceiling: another method may lie above it,
and on the generated corpus it sees noise that nobody could infer and lies above Bayes' bound (``ramer.data.bayes``).
"""

from __future__ import annotations

import numpy as np

from ramer.methods.shared.imputing import Filled, ImputingMethod, normalised
from ramer.modalities import MODALITIES
from ramer.training.batches import Batch


class Oracle(ImputingMethod):
    """Sees what is masked; what a row naturally lacks stays zero."""

    needs_complete = True
    deployable = False

    def fill(self, batch: Batch) -> Filled:
        if batch.complete is None:
            raise ValueError("oracle needs the complete rows and got a masked batch alone")
        return Filled({m: normalised(batch.complete.states[m]) for m in MODALITIES}, batch.complete.available)

    def fused(self, batch: Batch) -> np.ndarray:
        # The bits of the full rows, so that all seven conditions are one and the same full-modality model.
        return super().fused(batch if batch.complete is None else _unmasked(batch))


def _unmasked(batch: Batch) -> Batch:
    whole = batch.complete
    assert whole is not None
    return Batch(whole.rows, whole.available, states=whole.states, complete=whole)
