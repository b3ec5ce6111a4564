"""Soft labels: what a teacher that sees everything says of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ramer.training.batches import Batch
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.softmax import log_of, softmax
from ramer.training.temperature import PATTERNS, calibrated, pattern_codes, scale


@runtime_checkable
class Teacher(Protocol):
    """Whoever says what rows are."""

    def predict_proba(self, batch: Batch) -> np.ndarray:
        """Class probabilities, float64 [n, classes]."""
        ...


def agreed(posteriors: Sequence[np.ndarray]) -> np.ndarray:
    """What several posteriors [n, classes] say together: the mean of the log probabilities, normalised."""
    return softmax(np.mean([log_of(p) for p in posteriors], axis=0))


class Panel:
    """Several teachers who speak as one, calibrated on validation rows."""

    def __init__(self, members: Sequence[Teacher], val: LabelledRows) -> None:
        self._members, self._temperatures = members, np.ones(PATTERNS)
        self._temperatures = calibrated(self.predict_proba, val)

    def predict_proba(self, batch: Batch) -> np.ndarray:
        said = agreed([member.predict_proba(batch) for member in self._members])
        return scale(said, self._temperatures[pattern_codes(batch.available)])


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
    def give(cls, teacher: Teacher, train: TrainingBatch, rng: np.random.Generator, most: int) -> Lesson:
        """Ask a fitted teacher; pool rows have no labels, and none are read.

        Args:
            most: pool rows that are asked about; of more, so many are drawn.
        """
        pool = train.drawn_pool(rng, most)
        return cls(pool, teacher.predict_proba(train.complete), teacher.predict_proba(pool))
