"""All replicates of a method at once: what such a shortcut takes and says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from ramer.retrieval.structures import Lists, Selected
from ramer.training.batches import Arrays


class StackedPrediction(NamedTuple):
    """What all replicates say of n clips.

    Attributes:
        probabilities: float64 [replicates, n, classes], calibrated.
        selected: the neighbours of the first replicate, in rows of its own database.
    """

    probabilities: np.ndarray
    selected: Selected


@runtime_checkable
class StackedMethod(Protocol):
    """All replicates of a method for a few clips."""

    def predict(self, states: Arrays, available: np.ndarray, lists: Sequence[Lists]) -> StackedPrediction:
        """Probabilities of n clips.

        Args:
            states: raw, NaN where missing, [replicates, n, hidden] per modality.
            available: bool [n, 3].
            lists: per replicate.
        """
        ...
