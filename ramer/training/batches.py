"""What a method sees of some rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ramer.retrieval.structures import Database, Lists, Neighbours, Queries

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """n rows as a method sees them; NaN (and empty lists) where a modality is unavailable.

    Attributes:
        rows: int64 [n], corpus row numbers, -1 for a clip that is not in the corpus.
        available: bool [n, 3] in the order of ``MODALITIES``: natural availability and mask together.
        features: standardised raw vectors, float32 [n, dim] per modality; empty unless asked for.
        states: CLS hidden states (not normalised), float32 [n, hidden] per modality.
        posteriors: the unimodal encoders' class probabilities, float32 [n, classes] per modality.
        neighbours: lists of the available modalities and what they point into; None unless asked for.
        complete: the same rows unmasked; only for methods that declare ``needs_complete``.
    """

    rows: np.ndarray
    available: np.ndarray
    features: Arrays = field(default_factory=dict)
    states: Arrays = field(default_factory=dict)
    posteriors: Arrays = field(default_factory=dict)
    neighbours: Neighbours | None = None
    complete: Batch | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lists(self) -> Lists:
        """The neighbour lists of a batch that carries neighbours.

        Raises:
            ValueError: this one carries none.
        """
        return self._neighbours.lists

    @property
    def database(self) -> Database:
        """What the lists point into, of a batch that carries neighbours.

        Raises:
            ValueError: this one carries none.
        """
        return self._neighbours.database

    @property
    def _neighbours(self) -> Neighbours:
        if self.neighbours is None:
            raise ValueError("batch: expected neighbours, got none: the method's inputs do not name them")
        return self.neighbours

    @property
    def queries(self) -> Queries:
        """The rows as those who ask for neighbours."""
        return Queries(self.states, self.available, self.rows)

    def take(self, positions: np.ndarray) -> Batch:
        """The rows at ``positions`` (int or bool [n]) as a batch of their own."""

        def pick(arrays: Mapping[str, np.ndarray]) -> Arrays:
            return {m: a[positions] for m, a in arrays.items()}

        return Batch(
            self.rows[positions],
            self.available[positions],
            pick(self.features),
            pick(self.states),
            pick(self.posteriors),
            None if self.neighbours is None else Neighbours(self.lists.take(positions), self.database),
            None if self.complete is None else self.complete.take(positions),
        )
