"""Neighbours by keys of a method's own, whose mean features stand in.

Such a method reads no lists of ``retrieve``: its keys are no states of the encoders. It holds what makes them, embeds
its database when it is loaded, and a database that grows is embedded, not learnt from.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from ramer.config import Count
from ramer.errors import ModelError
from ramer.methods.shared.contract import RetrievalOptions
from ramer.methods.shared.filling import Views, filled_in
from ramer.methods.shared.imputing import Filled
from ramer.methods.shared.masked_network import masked_inputs, stacked
from ramer.methods.shared.weights import take_weights
from ramer.modalities import MODALITIES, condition_masks
from ramer.nn.key_networks import KeyEncoders
from ramer.nn.masked import Masked
from ramer.retrieval.aggregation import select, weigh
from ramer.retrieval.keys import FeatureKeys, KeyIndex, KeySpace, LearnedKeys
from ramer.retrieval.structures import Database, Neighbours, Rules, Selected
from ramer.training.batches import Batch
from ramer.training.contrastive import train_keys
from ramer.training.labelled_rows import TrainingBatch
from ramer.training.temperature import PATTERNS, pattern_codes

KEY_EPOCHS = 30  # of the keys' training, fewer where many rows make many steps of them (``MOST_STEPS``)
MOST_POOL_ROWS = 20_000  # that are learnt from; of a larger pool so many are drawn
WALKED = 3  # times k candidates are fetched, of which the first k that hold what is missing are taken
BLOCK = 1024  # rows whose neighbours' features are held at a time


class OwnKeysOptions(RetrievalOptions):
    """Options of a method that searches all labelled training rows and the pool by keys of its own.

    Attributes:
        k: neighbours at the most; a small database gives what it has.
    """

    k: Count = 20

    def check_k(self, name: str, width: int, findable_rows: int = sys.maxsize) -> None:
        """The lists of ``retrieve`` are not read, whatever their width."""


def learn_space(
    kind: Literal["learned", "features"],
    dims: Mapping[str, int],
    rows: Masked,
    epochs: int,
    rng: np.random.Generator,
    device: str,
) -> KeySpace:
    """Keys learned across the modalities of a clip, or the features themselves, for which nothing is learnt.

    Args:
        dims: length of the features per modality, 0 where the corpus lacks it.
        rows: labelled training rows and the pool with everything that they hold.
        epochs: of training, at the most.
    """
    if kind == "features":
        return FeatureKeys(dims)
    return LearnedKeys(train_keys(dims, rows, epochs, rng, device), device)


def restored_space(learned: bool, dims: Mapping[str, int], tensors: Mapping[str, np.ndarray], device: str) -> KeySpace:
    """The keys whose ``tensors`` are among these; the features themselves where there are none.

    Args:
        learned: whether there must be some.

    Raises:
        ModelError: there are none.
    """
    if not any(name.startswith("keys_.") for name in tensors):
        if learned:
            raise ModelError("the checkpoint lacks keys_, the learned keys")
        return FeatureKeys(dims)
    return LearnedKeys(take_weights(KeyEncoders(dims).to(device), dict(tensors), "keys_."), device)


@dataclass
class OwnKeys:
    """Finds neighbours in a batch's database, whose keys are made once.

    Attributes:
        space: that embeds rows and queries.
        rules: k and the weights of the neighbours.
    """

    space: KeySpace
    rules: Rules
    _index: KeyIndex | None = field(default=None, repr=False)

    @classmethod
    def learnt(
        cls,
        kind: Literal["learned", "features"],
        dims: Mapping[str, int],
        train: TrainingBatch,
        rules: Rules,
        rng: np.random.Generator,
        device: str,
    ) -> Self:
        """Keys from labelled training rows and the pool with everything that they hold; no label is read."""
        if kind == "features":
            return cls(FeatureKeys(dims), rules)
        batches = train.complete, train.drawn_pool(rng, MOST_POOL_ROWS)
        rows = stacked([masked_inputs(batch, device=device) for batch in batches])
        return cls(learn_space(kind, dims, rows, KEY_EPOCHS, rng, device), rules)

    @property
    def plain(self) -> bool:
        """Never: no list is read."""
        return False

    def prepare(self, database: Database) -> None:
        """Embed the database."""
        self.index(database)

    def tensors(self) -> dict[str, np.ndarray]:
        return self.space.tensors()

    def index(self, database: Database) -> KeyIndex:
        """The keys of a database; those of the last one are kept."""
        index = self._index
        if index is None or index.database is not database:
            self._index = index = KeyIndex.build(self.space, database)
        return index

    def find(self, batch: Batch) -> Selected:
        """The nearest rows of the database that hold what each row lacks, at the most k for each modality."""
        n, k, database = len(batch), self.rules.k, batch.database
        rows = np.full((n, len(MODALITIES), k), -1, dtype=np.int64)
        scores = np.full((n, len(MODALITIES), k), np.nan)
        findable = database.available.any(axis=0)
        lacking = np.flatnonzero((~batch.available & findable).any(axis=1) & batch.available.any(axis=1))
        if len(lacking):
            part = batch.take(lacking)
            found = self.index(database).candidates(part.features, part.available, part.rows, k * WALKED)
            chosen = select(found, part.available, database.available, k)
            rows[lacking], scores[lacking] = database.contents(chosen.rows, part.rows), chosen.scores
        return Selected(rows, scores)


@dataclass(frozen=True)
class NeighbourFill:
    """The weighted mean of the neighbours' features."""

    finder: OwnKeys

    def fill(self, batch: Batch) -> Filled:
        near = self.find(batch)
        features, weights, values = batch.database.live_search.features, weigh(near.scores, self.finder.rules), {}
        for i, m in enumerate(MODALITIES):
            found = np.flatnonzero(near.retrieved[:, i])
            values[m] = np.zeros((len(batch), batch.features[m].shape[1]), dtype=np.float32)
            for start in range(0, len(found), BLOCK):
                part = found[start : start + BLOCK]
                rows = near.rows[part, i]
                given = features[m][np.where(rows >= 0, rows, rows[:, :1]).ravel()].reshape(*rows.shape, -1)
                values[m][part] = np.matmul(weights[part, i][:, None], given)[:, 0]
        return Filled(values, near.retrieved)

    def views(self, rows: Masked, numbers: np.ndarray, train: TrainingBatch) -> Views:
        """All neighbours at once, among these rows: a drawn mask then costs no search."""
        found = np.zeros((PATTERNS, len(numbers), len(MODALITIES), self.finder.rules.k), dtype=np.int64)
        weights = np.zeros(found.shape, dtype=np.float32)
        place = np.full(train.data.corpus.rows, -1)
        place[numbers] = np.arange(len(numbers))
        database = _among(train.complete.database, place)
        for mask in condition_masks():
            batch = train.data.batch(numbers, mask, train.inputs)
            batch = replace(batch, neighbours=Neighbours(batch.lists, database))
            some = np.flatnonzero((batch.available == mask).all(axis=1))
            near, code = self.finder.find(batch.take(some)), pattern_codes(mask[None])[0]
            found[code, some] = np.maximum(place[np.maximum(near.rows, 0)], 0)
            weights[code, some] = weigh(near.scores, self.finder.rules)
        device = rows.available.device
        return _NeighbourViews(rows, torch.from_numpy(found).to(device), torch.from_numpy(weights).to(device))

    def find(self, batch: Batch) -> Selected:
        return self.finder.find(batch)

    def prepare(self, database: Database) -> None:
        self.finder.prepare(database)

    def tensors(self) -> dict[str, np.ndarray]:
        return self.finder.tensors()


def _among(database: Database, place: np.ndarray) -> Database:
    """The database, of which only rows with a place may be found."""
    if (place[database.available.any(axis=1)] >= 0).all():
        return database
    return replace(database, available=database.available & (place >= 0)[:, None])


@dataclass(frozen=True)
class _NeighbourViews:
    """Views of rows whose neighbours are known.

    Attributes:
        rows: complete.
        found: positions among them, by what is available.
        weights: of the found, 0 for none, float [8, n, 3, k].
    """

    rows: Masked
    found: Int[Tensor, "8 n 3 k"]
    weights: Tensor

    def under(self, positions: Tensor, keep: Tensor) -> Masked:
        seen = self.rows.take(positions).under(keep)
        codes = (seen.available * torch.tensor([4, 2, 1], device=keep.device)).sum(dim=1)
        found, weights = self.found[codes, positions], self.weights[codes, positions]
        bag = nn.functional.embedding_bag
        means = {
            m: bag(found[:, i], self.rows.values[m], per_sample_weights=weights[:, i], mode="sum")
            for i, m in enumerate(MODALITIES)
        }
        return filled_in(seen, means, weights.sum(dim=2) > 0)
