"""Soft labels: what a teacher that sees everything says of the pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ramer.methods.shared.contract import Method
from ramer.training.batches import Batch
from ramer.training.labelled_rows import TrainingBatch


@dataclass(frozen=True)
class Lesson:
    """Pool rows and what they are taken to be.

    Attributes:
        pool: rows that hold anything, with everything that they hold.
        train: the teacher's probabilities of the training rows, float64 [n, classes].
        soft: of the pool rows, float64 [p, classes].
    """

    pool: Batch
    train: np.ndarray
    soft: np.ndarray

    @classmethod
    def give(cls, teacher: Method, train: TrainingBatch, rng: np.random.Generator, most: int) -> Lesson:
        """Ask a fitted teacher; pool rows have no labels, and none are read.

        Args:
            most: pool rows that are asked about; of more, so many are drawn.
        """
        pool = train.drawn_pool(rng, most)
        return cls(pool, teacher.predict_proba(train.complete), teacher.predict_proba(pool))
