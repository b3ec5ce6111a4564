"""Encoders fine-tuned by the fusion loss: live queries against frozen keys, or against keys that are rebuilt.

The fusion phase of RAMER (Fan et al., arXiv 2410.02804) trains encoders; here they start from the pretrained ones and
neighbours are searched with what they say now. What is retrieved is a constant of each step: gradients reach the
encoders through the available states.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from ramer.methods.shared.finding import RuleFinder
from ramer.methods.shared.fusing import HeadSettings, RetrievalHead, StandIns
from ramer.methods.shared.heads import neighbourhood, probabilities
from ramer.methods.shared.live import LiveEncoders, encode_batch, live_lists, masked_again, rebuilt
from ramer.methods.shared.weights import take_weights, weights_of
from ramer.modalities import CONDITIONS, FULL_CONDITION, MODALITIES, condition_masks
from ramer.nn.attention import assemble
from ramer.retrieval.structures import Database, Neighbours
from ramer.seeding import seed_torch
from ramer.training.adamw import AdamW
from ramer.training.batches import Arrays, Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.loop import fit_epochs

_PREFIX = "tuned_."


class Tuned(nn.Module):
    """What trains together, and the snapshot that makes the keys (None: those of the stamped index)."""

    def __init__(self, encoders: LiveEncoders, head: nn.Module, rebuilds: bool) -> None:
        super().__init__()
        self.encoders = encoders
        self.head = head
        self.keys = copy.deepcopy(encoders).requires_grad_(False) if rebuilds else None


class TunedHead(RetrievalHead):
    """Fine-tuned encoders and their head.

    Args:
        settings: of the head.
        finder: of neighbours in live lists.
        stand_ins: from neighbours to states, for a head that does not attend to them itself.
        encoders: pretrained, or to be filled by ``restore``.
        encoder_lr: their learning rate; the head's is that of the budget.
        rebuild_every: epochs after which the keys are made anew, 0 for never.
    """

    finder: RuleFinder

    def __init__(
        self,
        settings: HeadSettings,
        finder: RuleFinder,
        stand_ins: StandIns,
        encoders: LiveEncoders,
        encoder_lr: float,
        rebuild_every: int,
    ) -> None:
        self.settings = settings
        self.finder = finder
        self.stand_ins = stand_ins
        self._encoders = encoders
        self._encoder_lr = encoder_lr
        self._rebuild_every = rebuild_every
        self._rebuilt: dict[int, tuple[Database, Database]] = {}

    def _assemble(self) -> Tuned:
        head = self.settings.new_head()
        return Tuned(self._encoders, head, self._rebuild_every > 0).to(self.settings.device).eval()

    def see(self, batch: Batch) -> Batch:
        """The batch with live states and lists, and the keys that belong to them."""
        states = encode_batch(self.tuned.encoders, batch, self.settings.device)
        return self._with_live_lists(batch, states, batch.available)

    def _with_live_lists(self, batch: Batch, states: Arrays, available: np.ndarray) -> Batch:
        keys = self._keys(batch.database)
        lists = live_lists(keys, states, available, batch.rows, batch.lists.width)
        return replace(batch, states=states, available=available, neighbours=Neighbours(lists, keys))

    def _keys(self, database: Database) -> Database:
        """The database with the keys that the snapshot makes, computed once."""
        if self.tuned.keys is None:
            return database
        if id(database) not in self._rebuilt:
            self._rebuilt[id(database)] = database, rebuilt(database, self.tuned.keys, self.settings.device)
        return self._rebuilt[id(database)][1]

    def prepare(self, database: Database) -> None:
        _ = self._keys(database).norms

    def fit(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        seed_torch(int(rng.integers(2**31)), "head")
        self.tuned = tuned = self._assemble()
        masks, budget, device = condition_masks(), self.settings.training, self.settings.device
        labels = torch.from_numpy(train.labels).to(device)

        def starting(epoch: int) -> None:
            if tuned.keys is not None and epoch % self._rebuild_every == 0:
                tuned.keys.load_state_dict(tuned.encoders.state_dict())
                self._rebuilt.clear()

        def loss(positions: Tensor, conditions: Tensor) -> Tensor:
            part = train.complete.take(positions.numpy())
            available = part.available & masks[conditions.numpy()]
            own, states = self._encode(part, available)
            batch = self._with_live_lists(part, states, available)
            return nn.functional.cross_entropy(self._scores(own, batch), labels[positions])

        def validate() -> float:
            return selection(self._held_out(val), val, train.prior)

        optimizers = [
            AdamW(tuned.head.parameters(), budget.lr, weight_decay=budget.weight_decay),
            AdamW(tuned.encoders.parameters(), self._encoder_lr, weight_decay=budget.weight_decay),
        ]
        fitted = fit_epochs(tuned, loss, validate, train, budget, rng, log, optimizers, starting)
        self._rebuilt.clear()  # the best epoch's snapshot is not the last one
        if self.finder.calibration is not None:
            self._held_out(val)
        return fitted

    def _held_out(self, val: LabelledRows) -> Callable[[str], np.ndarray]:
        """Validation rows encoded once: from a condition to their probabilities. A finder that compares quantiles of
        scores takes those of these rows."""
        seen = self.see(val.under(FULL_CONDITION))
        self.finder = self.finder.calibrated(seen)
        masks = dict(zip(CONDITIONS, condition_masks(), strict=True))
        return lambda condition: self.decide(masked_again(seen, masks[condition]))

    def _encode(self, part: Batch, available: np.ndarray) -> tuple[dict[str, Tensor], Arrays]:
        """Own states, zeros where unavailable, with gradients; and as arrays, NaN where unavailable."""
        own, states = {}, {}
        for i, m in enumerate(MODALITIES):
            held = np.flatnonzero(available[:, i])
            states[m] = np.full(part.states[m].shape, np.nan, dtype=np.float32)
            own[m] = torch.zeros(states[m].shape, device=self.settings.device)
            if not len(held):
                continue
            features = torch.from_numpy(part.features[m][held]).to(self.settings.device)
            hidden = self.tuned.encoders.hidden(m, features)
            states[m][held] = hidden.detach().cpu().numpy()
            places = torch.from_numpy(held).to(self.settings.device)
            own[m] = own[m].index_copy(0, places, self._unit(hidden))
        return own, states

    def _unit(self, states: Tensor) -> Tensor:
        return nn.functional.normalize(states, dim=1) if self.settings.normalize_available else states

    def _scores(self, own: dict[str, Tensor], batch: Batch) -> Tensor:
        """Class scores [n, classes] from own states and those of the neighbours in the batch's lists."""
        head, device = self.tuned.head, self.settings.device
        near = self.finder.find(batch)
        if self.settings.attends:
            normalize = self.settings.rules.normalize_values
            attended: Tensor = head(neighbourhood(own, batch.available, near, batch.database, normalize, device))
            return attended
        filled = self.stand_ins.fill(near, batch.database)
        stand_ins = {m: torch.from_numpy(s).to(device) for m, s in filled.states.items()}
        held, imputed = (torch.from_numpy(bits).to(device) for bits in (batch.available, filled.imputed))
        scores: Tensor = head(assemble(own, held, stand_ins, imputed))
        return scores

    def posterior(self, batch: Batch) -> np.ndarray:
        return self.decide(self.see(batch))

    @torch.inference_mode()
    def decide(self, seen: Batch) -> np.ndarray:
        """Class probabilities float64 [n, classes] of a batch from ``see``."""
        own = {}
        for i, m in enumerate(MODALITIES):
            held = np.where(seen.available[:, i, None], seen.states[m], np.float32(0))
            own[m] = self._unit(torch.from_numpy(held).to(self.settings.device))
        return probabilities(self._scores(own, seen))

    def tensors(self) -> dict[str, np.ndarray]:
        return weights_of(self.tuned, _PREFIX)

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.tuned = take_weights(self._assemble(), tensors, _PREFIX)
        return self
