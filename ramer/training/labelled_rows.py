"""Labelled rows under any condition, and the conditions that training draws."""

from __future__ import annotations

import numpy as np

from ramer.config import MissingRates
from ramer.data.prepared import Replicate
from ramer.inputs import NEIGHBOURS
from ramer.modalities import CONDITIONS, FULL_CONDITION, condition_masks, condition_probabilities
from ramer.seeding import generator
from ramer.training.batches import Batch
from ramer.training.replicate_data import ReplicateData
from ramer.training.savepoints import NOTHING_KEPT, Savepoints


class LabelledRows:
    """Labelled rows under any condition.

    Attributes:
        labels: int64 [n].
        rows: corpus row numbers [n].
    """

    def __init__(self, data: ReplicateData, rows: np.ndarray, inputs: frozenset[str], complete: bool = False) -> None:
        self.data = data
        self.rows = rows
        self.labels = data.corpus.labels(data.replicate)[rows]
        self.classes = data.corpus.classes
        self.inputs = inputs
        self._with_complete = complete
        self._cache: dict[str, Batch] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def under(self, condition: str) -> Batch:
        """All rows under one condition, masked."""
        if condition not in self._cache:
            mask = condition_masks()[list(CONDITIONS).index(condition)]
            self._cache[condition] = self.data.batch(self.rows, mask, self.inputs, self._with_complete)
        return self._cache[condition]

    def on(self, data: ReplicateData, more: frozenset[str] = frozenset()) -> LabelledRows:
        """The same rows with other data of their replicate, such as a database with another pool.

        Args:
            more: inputs beside those that these rows have.
        """
        return LabelledRows(data, self.rows, self.inputs | more, self._with_complete)


class TrainingBatch(LabelledRows):
    """A replicate's labelled training rows that hold at least one modality; exists only inside ``fit``.

    Attributes:
        prior: class frequencies of the labelled training rows, float64 [classes].
        pool_rows: corpus row numbers of the unlabelled pool.
        missing_rates: of the modalities in the drawn masks; None draws the seven conditions alike.
        savepoints: one for each training on these rows, in the order in which they come.
    """

    def __init__(
        self,
        data: ReplicateData,
        inputs: frozenset[str],
        complete: bool = False,
        missing_rates: MissingRates | None = None,
        savepoints: Savepoints = NOTHING_KEPT,
    ) -> None:
        train = data.corpus.rows_in(data.replicate, "train")
        labels = data.corpus.labels(data.replicate)[train]
        self.prior = np.bincount(labels, minlength=data.corpus.classes) / len(labels)
        super().__init__(data, train[data.corpus.available[train].any(axis=1)], inputs, complete)
        self.pool_rows = data.corpus.rows_in(data.replicate, "pool")
        self.missing_rates = missing_rates
        self.savepoints = savepoints.numbered(data.replicate.name)

    def without_pool(self) -> TrainingBatch:
        """The same rows as if there were no pool, in the database neither."""
        nobody = np.empty(0, dtype=np.int64)
        other = TrainingBatch(self.data.with_pool(nobody), self.inputs, self._with_complete, self.missing_rates)
        other.pool_rows = nobody
        return other

    @property
    def complete(self) -> Batch:
        """The rows with everything that they naturally hold."""
        return self.under(FULL_CONDITION)

    def pool(self, rows: np.ndarray | None = None, condition: str = FULL_CONDITION) -> Batch:
        """Unlabelled pool rows (all, or some of ``pool_rows``) under a condition."""
        mask = condition_masks()[list(CONDITIONS).index(condition)]
        return self.data.batch(self.pool_rows if rows is None else rows, mask, self.inputs - {NEIGHBOURS})

    def drawn_pool(self, rng: np.random.Generator, most: int) -> Batch:
        """Pool rows that hold anything, with everything that they hold; of more than ``most``, so many are drawn."""
        rows = self.pool_rows[self.data.corpus.available[self.pool_rows].any(axis=1)]
        if len(rows) > most:
            rows = np.sort(rng.choice(rows, most, replace=False))
        return self.pool(rows)

    def conditions_at(self, epoch: int) -> np.ndarray:
        """The drawn condition of every row in an epoch, int64 [n]; the same for every method (protocol rule 2).

        A draw that leaves a row with nothing is replaced by everything the row holds.
        """
        return draw_conditions(self.data.corpus.available[self.rows], self.data.replicate, epoch, self.missing_rates)


def draw_conditions(
    available: np.ndarray, replicate: Replicate, epoch: int, missing_rates: MissingRates | None = None
) -> np.ndarray:
    """Draw one condition per row from the replicate's own stream, uniformly over the seven or by missing rates."""
    rng = generator(replicate.seed, "conditions", replicate.fold, epoch)
    if missing_rates is None:
        drawn = rng.integers(len(CONDITIONS), size=len(available))
    else:
        drawn = rng.choice(len(CONDITIONS), size=len(available), p=condition_probabilities(missing_rates.values))
    nothing = ~(available & condition_masks()[drawn]).any(axis=1)
    drawn[nothing] = list(CONDITIONS).index(FULL_CONDITION)
    return drawn
