"""Random database rows stand in for retrieved ones: what the machinery gains without retrieval."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ramer.inputs import NEIGHBOURS, STATES
from ramer.methods.shared.contract import RetrievalOptions
from ramer.methods.shared.imputing import Filled, ImputingMethod, normalised
from ramer.modalities import MODALITIES
from ramer.training.batches import Batch

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def scramble(numbers: np.ndarray) -> np.ndarray:
    """A fixed pseudo-random uint64 per number (SplitMix64, Steele et al. 2014).

    A row's draw depends on its number alone, not on the batch that it comes in; all new clips share one.
    """
    x = numbers.astype(np.uint64) * _MIX[0] + _MIX[0]
    x = (x ^ (x >> np.uint64(30))) * _MIX[1]
    x = (x ^ (x >> np.uint64(27))) * _MIX[2]
    return x ^ (x >> np.uint64(31))


class RandomNeighboursOptions(RetrievalOptions):
    """``database``: drawing at random from shuffled rows would be the same control again."""

    database: Literal["real"] = "real"


class RandomNeighbours(ImputingMethod[RandomNeighboursOptions]):
    """The mean of k rows drawn at random from the database, never the row itself."""

    inputs = frozenset({STATES, NEIGHBOURS})

    def reads_lists(self, available: np.ndarray) -> np.ndarray:
        """Of no row: what stands in is drawn, not searched."""
        return np.zeros(len(available), dtype=bool)

    def fill(self, batch: Batch) -> Filled:
        states, imputed = self.zeros(batch), np.zeros_like(batch.available)
        numbers = np.where(batch.rows >= 0, batch.rows, len(batch.database.available))
        k = self.options.k
        for i, m in enumerate(MODALITIES):
            candidates = np.flatnonzero(batch.database.available[:, i])
            wanted = np.flatnonzero(~batch.available[:, i])
            if len(candidates) <= 1 or len(wanted) == 0:
                continue
            keys = (numbers[wanted, None] * len(MODALITIES) + i) * k + np.arange(k)
            drawn = (scramble(keys) % np.uint64(len(candidates))).astype(np.int64)
            own = candidates[drawn] == batch.rows[wanted, None]
            drawn[own] = (drawn[own] + 1) % len(candidates)
            values = normalised(np.asarray(batch.database.states[m][candidates[drawn].ravel()]))
            mean = values.reshape(len(wanted), k, -1).mean(axis=1)
            states[m][wanted], imputed[wanted, i] = normalised(mean), True
        return Filled(states, imputed)
