"""Cross-attention to complete rows that are like the row at hand, ICL-CA, on utterance states.

Zhi et al., "Borrowing Treasures from Neighbors: In-Context Learning for Multimodal Learning with Missing Modalities
and Data Scarcity" (arXiv 2403.09428). The most similar rows that hold every modality, complete rows too have them,
form with their labels the context that a row's tokens attend to; only this module is trained, on frozen states, alike
in training and prediction. (In the code that the authors published the row attends to itself and the neighbours are
not read.)
Departures: similarity is the mean cosine over the modalities that are there, each in its encoder's space (the paper:
the CLS token of one multimodal transformer), a row of the pool that is complete may be found too and has no label,
speakers are excluded as everywhere here, and the budget is that of ``train``.
Control: ``database: shuffled`` finds the same rows and hands out another one's states and label.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import torch
from pydantic import model_validator
from torch import nn

from ramer.config import Among, Count, Dropout, Searched
from ramer.inputs import NEIGHBOURS, STATES
from ramer.methods.shared.contract import Method, RetrievalOptions
from ramer.methods.shared.heads import HeadInputs, Scores, fit_head, probabilities
from ramer.methods.shared.imputing import own_states
from ramer.methods.shared.weights import take_weights, weights_of
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.nn.context import Context, ContextClassifier
from ramer.retrieval.aggregation import gather
from ramer.retrieval.complete import complete_rows
from ramer.seeding import seed_torch
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch

_PREFIX = "head_."


class IclCaOptions(RetrievalOptions):
    """Options of ``icl_ca``.

    Attributes:
        labels: whether the neighbours' labels are in the context.
        width, heads, layers, dropout: of the attention.
    """

    labels: bool = True
    width: Annotated[Count, Among((32, 64, 128))] = 64
    heads: Annotated[Count, Among((2, 4, 8))] = 4
    layers: Annotated[Count, Searched(1, 4)] = 2
    dropout: Annotated[Dropout, Searched(0.0, 0.7)] = 0.3

    @model_validator(mode="after")
    def _check(self) -> IclCaOptions:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        return self


class ContextInputs(HeadInputs):
    """Rows under all conditions with the neighbours found once; their states are gathered when they are asked for."""

    def __init__(self, method: IclCa, rows: LabelledRows) -> None:
        self._method = method
        self._batches = [rows.under(c) for c in CONDITIONS]
        self._found = np.stack([method.found(batch) for batch in self._batches])
        self._own = {m: np.stack([own_states(batch)[m] for batch in self._batches]) for m in MODALITIES}
        self._available = np.stack([batch.available for batch in self._batches])

    def at(self, positions: torch.Tensor, conditions: torch.Tensor) -> Context:
        return self._context(conditions.numpy(), positions.numpy())

    def scores(self, head: nn.Module) -> Scores:
        everyone = np.arange(self._available.shape[1])
        return {c: head(self._context(i, everyone)).cpu().numpy() for i, c in enumerate(CONDITIONS)}

    def _context(self, conditions: np.ndarray | int, positions: np.ndarray) -> Context:
        at = conditions, positions
        own = {m: states[at] for m, states in self._own.items()}
        return self._method.context(self._batches[0], own, self._available[at], self._found[at])


class IclCa(Method[IclCaOptions]):
    """A small transformer whose rows attend to retrieved complete rows."""

    inputs = frozenset({STATES, NEIGHBOURS})
    retrieval = True

    def new_head(self) -> ContextClassifier:
        """An untrained head."""
        options, shape = self.options, self.shape
        return ContextClassifier(
            shape.state_dims,
            shape.classes,
            options.k,
            width=options.width,
            heads=options.heads,
            layers=options.layers,
            dropout=options.dropout,
        ).to(self.device)

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        inputs, held_out = ContextInputs(self, train), ContextInputs(self, val)
        seed_torch(int(rng.integers(2**31)), "head")
        self.head_ = self.new_head()
        return fit_head(self.head_, inputs, held_out, train, val, self.training, rng, log)

    def found(self, batch: Batch) -> np.ndarray:
        """Whose contents are each row's context, best first, int64 [n, k], -1 for none."""
        rows = complete_rows(batch.lists, batch.queries, batch.database, self.options.k).rows
        return batch.database.contents(rows[:, None], batch.rows)[:, 0]

    def context(self, batch: Batch, own: dict[str, np.ndarray], available: np.ndarray, found: np.ndarray) -> Context:
        """Rows and their context as tensors.

        Args:
            batch: whose database the neighbours are of.
            own: states [n, hidden] per modality, zeros where unavailable.
            available: bool [n, 3].
            found: as ``found`` gives it.
        """
        database, there = batch.database, found >= 0
        labels = np.where(there & self.options.labels, database.labels[np.maximum(found, 0)], -1)
        held = database.available[np.maximum(found, 0)] | ~there[..., None]
        near = {
            m: torch.from_numpy(np.where(held[..., [i]], gather(database, m, found), np.float32(0.0)))
            for i, m in enumerate(MODALITIES)
        }
        told, holds, filled = (torch.from_numpy(a).to(self.device) for a in (labels.astype(np.int64), held, there))
        return Context(
            own={m: torch.from_numpy(states).to(self.device) for m, states in own.items()},
            available=torch.from_numpy(available).to(self.device),
            neighbours={m: states.to(self.device) for m, states in near.items()},
            held=holds,
            labels=told,
            found=filled,
        )

    def posterior(self, batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            return probabilities(self.head_(self.context(batch, own_states(batch), batch.available, self.found(batch))))

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        """Share of the rows that found a complete one, and of the labelled ones found that have the row's label."""
        found = self.found(batch)
        told = np.where(found >= 0, batch.database.labels[np.maximum(found, 0)], -1)
        same = (told == labels[:, None])[told >= 0]
        return {
            "retrieved": float((found >= 0).any(axis=1).mean()) if len(found) else np.nan,
            "label_purity": float(same.mean()) if len(same) else np.nan,
        }

    def tensors(self) -> dict[str, np.ndarray]:
        return weights_of(self.head_, _PREFIX)

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.head_ = take_weights(self.new_head(), tensors, _PREFIX)
        return self
