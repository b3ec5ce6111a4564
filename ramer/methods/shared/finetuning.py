"""Encoders fine-tuned by the fusion loss: live queries against frozen keys, or against keys that are rebuilt.

The fusion phase of RAMER (Fan et al., arXiv 2410.02804) trains encoders; here they start from the pretrained ones and
neighbours are searched with what they say now. What is retrieved is a constant of each step: gradients reach the
encoders through the available states.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from ramer.config import Training
from ramer.methods.shared.attending import neighbourhood
from ramer.methods.shared.live import LiveEncoders, encode_batch, live_lists, masked_again, rebuilt
from ramer.modalities import CONDITIONS, FULL_CONDITION, MODALITIES, condition_masks
from ramer.nn.attention import AttendingClassifier, assemble
from ramer.retrieval.aggregation import Database, Rules, Selected, aggregate
from ramer.training.adamw import AdamW
from ramer.training.batches import Batch, LabelledRows, TrainingBatch
from ramer.training.loop import Fitted, History, fit_epochs, selection


@runtime_checkable
class Retrieving(Protocol):
    """What fine-tuning asks of its method."""

    device: str
    prior_: np.ndarray
    training: Training
    options: Any

    @property
    def rules(self) -> Rules: ...

    @property
    def normalises_available(self) -> bool: ...

    def find_in(self, batch: Batch) -> Selected:
        """Neighbours of a batch by the lists that it holds."""
        ...


class Tuned(nn.Module):
    """What trains together, and the snapshot that makes the keys (None: those of the stamped index)."""

    def __init__(self, encoders: LiveEncoders, head: nn.Module, rebuilds: bool) -> None:
        super().__init__()
        self.encoders = encoders
        self.head = head
        self.keys = copy.deepcopy(encoders).requires_grad_(False) if rebuilds else None


class Tuning:
    """Fine-tuned encoders and their head at work in a method."""

    def __init__(self, method: Retrieving, tuned: Tuned) -> None:
        self._method = method
        self.tuned = tuned.to(method.device).eval()
        self._rebuilt: dict[int, tuple[Database, Database]] = {}

    def seen(self, batch: Batch) -> Batch:
        """The batch with live states and lists, and the keys that belong to them."""
        assert batch.lists is not None
        assert batch.database is not None
        states = encode_batch(self.tuned.encoders, batch, self._method.device)
        database = self.keys(batch.database)
        lists = live_lists(database, states, batch.available, batch.rows, batch.lists.width)
        return replace(batch, states=states, lists=lists, database=database, found=None)

    def keys(self, database: Database) -> Database:
        """The database with the keys that the snapshot makes, computed once."""
        if self.tuned.keys is None:
            return database
        if id(database) not in self._rebuilt:
            self._rebuilt[id(database)] = database, rebuilt(database, self.tuned.keys, self._method.device)
        return self._rebuilt[id(database)][1]

    def fit(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        """Train with the budget, the masks and the selection of all heads."""
        whole, masks, tuned, budget = train.complete, condition_masks(), self.tuned, self._method.training
        assert whole.lists is not None
        assert whole.database is not None
        database, width = whole.database, whole.lists.width
        labels = torch.from_numpy(train.labels).to(self._method.device)

        def starting(epoch: int) -> None:
            every = self._method.options.rebuild_every
            if tuned.keys is not None and epoch % every == 0:
                tuned.keys.load_state_dict(tuned.encoders.state_dict())
                self._rebuilt.clear()

        def loss(positions: Tensor, conditions: Tensor) -> Tensor:
            at = positions.numpy()
            available = whole.available[at] & masks[conditions.numpy()]
            own, states = self._encode(whole, at, available)
            keys = self.keys(database)
            lists = live_lists(keys, states, available, whole.rows[at], width)
            batch = Batch(whole.rows[at], available, states=states, lists=lists, database=keys)
            return nn.functional.cross_entropy(self._scores(own, batch), labels[positions])

        def validate() -> float:
            seen = self.seen(val.under(FULL_CONDITION))
            scores = {c: self.posterior(masked_again(seen, masks[i])) for i, c in enumerate(CONDITIONS)}
            return selection(scores.__getitem__, val, self._method.prior_)

        optimizers = [
            AdamW(tuned.head.parameters(), budget.lr, weight_decay=budget.weight_decay),
            AdamW(tuned.encoders.parameters(), self._method.options.encoder_lr, weight_decay=budget.weight_decay),
        ]
        fitted = fit_epochs(tuned, loss, validate, train, budget, rng, log, optimizers, starting)
        self._rebuilt.clear()  # the best epoch's snapshot is not the last one
        return fitted

    def _encode(
        self, whole: Batch, at: np.ndarray, available: np.ndarray
    ) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Own states of some rows, zeros where unavailable, with gradients; and as arrays, NaN where unavailable."""
        own, states = {}, {}
        for i, m in enumerate(MODALITIES):
            held = np.flatnonzero(available[:, i])
            states[m] = np.full((len(at), whole.states[m].shape[1]), np.nan, dtype=np.float32)
            own[m] = torch.zeros(states[m].shape, device=self._method.device)
            if not len(held):
                continue
            features = torch.from_numpy(whole.features[m][at[held]]).to(self._method.device)
            hidden = self.tuned.encoders.hidden(m, features)
            states[m][held] = hidden.detach().cpu().numpy()
            places = torch.from_numpy(held).to(self._method.device)
            own[m] = own[m].index_copy(0, places, self._unit(hidden))
        return own, states

    def _unit(self, states: Tensor) -> Tensor:
        return nn.functional.normalize(states, dim=1) if self._method.normalises_available else states

    def _scores(self, own: dict[str, Tensor], batch: Batch) -> Tensor:
        """Class scores [n, classes] from own states and those of the neighbours in the batch's lists."""
        assert batch.database is not None
        head, rules, device = self.tuned.head, self._method.rules, self._method.device
        near = self._method.find_in(batch)
        if isinstance(head, AttendingClassifier):
            found = neighbourhood(own, batch.available, near, batch.database, rules.normalize_values, device)
            attended: Tensor = head(found)
            return attended
        filled = aggregate(near, batch.database, rules)
        stand_ins = {m: torch.from_numpy(s).to(device) for m, s in filled.states.items()}
        held, imputed = (torch.from_numpy(bits).to(device) for bits in (batch.available, filled.retrieved))
        scores: Tensor = head(assemble(own, held, stand_ins, imputed))
        return scores

    @torch.inference_mode()
    def posterior(self, batch: Batch) -> np.ndarray:
        """Class probabilities float64 [n, classes] of a batch from ``seen``."""
        own = {}
        for i, m in enumerate(MODALITIES):
            held = np.where(batch.available[:, i, None], batch.states[m], np.float32(0))
            own[m] = self._unit(torch.from_numpy(held).to(self._method.device))
        return np.asarray(self._scores(own, batch).double().softmax(dim=1).cpu().numpy())
