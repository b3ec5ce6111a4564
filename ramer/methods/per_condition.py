"""One head per condition: an upper reference, since a model cannot be kept for every way in which data go missing.

Everything else is as for ``zero_fill``: the same states, the same head, the same budget for each.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor

from ramer.methods.shared.heads import new_fusion
from ramer.methods.shared.imputing import Filled, ImputingMethod
from ramer.methods.shared.weights import take_weights, weights_of
from ramer.modalities import CONDITIONS, condition_masks
from ramer.nn.fusion import FusionClassifier
from ramer.seeding import seed_torch
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.loop import fit_epochs


class PerCondition(ImputingMethod):
    """A row is scored by the head of the modalities that it holds; a set that no training row held gets the prior."""

    deployable = False

    def fill(self, batch: Batch) -> Filled:
        return Filled(self.zeros(batch), np.zeros_like(batch.available))

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        self.heads_: dict[str, FusionClassifier] = {}
        histories, epochs = [], []
        for condition, mask in zip(CONDITIONS, condition_masks(), strict=True):
            held = (train.under(condition).available == mask).all(axis=1)
            if held.any():
                histories.append(History())
                self.heads_[condition], fitted = self._fit_one(condition, held, train, val, rng, histories[-1])
                epochs.append(fitted.best_epoch)
        _log_means(histories, log)
        score = selection(lambda c: self.predict_proba(val.under(c)), val, self.prior_)
        return Fitted(max(epochs), score)  # each head has an epoch of its own: this is the latest

    def _fit_one(
        self,
        condition: str,
        held: np.ndarray,
        train: TrainingBatch,
        val: LabelledRows,
        rng: np.random.Generator,
        log: History,
    ) -> tuple[FusionClassifier, Fitted]:
        inputs = torch.from_numpy(self.fused(train.under(condition))).to(self.device)
        held_out = torch.from_numpy(self.fused(val.under(condition))).to(self.device)
        labels = torch.from_numpy(train.labels).to(self.device)
        usable = torch.from_numpy(held)
        seed_torch(int(rng.integers(2**31)), "head", condition)
        head = new_fusion(self.shape, self.training, self.device)
        elsewhere = np.tile(self.prior_, (len(val), 1))  # a constant: the other conditions do not choose this head

        def loss(positions: Tensor, _: Tensor) -> Tensor:
            positions = positions[usable[positions]]
            errors = torch.nn.functional.cross_entropy(head(inputs[positions]), labels[positions], reduction="sum")
            return errors / max(len(positions), 1)

        def validate() -> float:
            proba = head(held_out).cpu().numpy()
            return selection(lambda c: proba if c == condition else elsewhere, val, self.prior_)

        return head, fit_epochs(head, loss, validate, train, self.training, rng, log)

    def posterior(self, batch: Batch) -> np.ndarray:
        proba = np.tile(self.prior_.astype(np.float64), (len(batch), 1))
        inputs = torch.from_numpy(self.fused(batch)).to(self.device)
        for condition, mask in zip(CONDITIONS, condition_masks(), strict=True):
            rows = (batch.available == mask).all(axis=1)
            if condition in self.heads_ and rows.any():
                with torch.inference_mode():
                    scores = self.heads_[condition](inputs[torch.from_numpy(rows)])
                    proba[rows] = scores.double().softmax(dim=1).cpu().numpy()
        return proba

    def tensors(self) -> dict[str, np.ndarray]:
        kept: dict[str, np.ndarray] = {}
        for condition, head in self.heads_.items():
            kept |= weights_of(head, f"heads_.{condition}.")
        return kept

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.heads_ = {}
        for condition in CONDITIONS:
            prefix = f"heads_.{condition}."
            if any(name.startswith(prefix) for name in tensors):
                self.heads_[condition] = take_weights(
                    new_fusion(self.shape, self.training, self.device), tensors, prefix
                )
        return self


def _log_means(histories: list[History], log: History) -> None:
    """One line per epoch: the mean over heads, a head that has stopped counting with its last line."""
    for epoch in range(max(len(h.lines) for h in histories)):
        lines = [h.lines[min(epoch, len(h.lines) - 1)] for h in histories]
        log(epoch, *(sum(line[key] for line in lines) / len(lines) for key in ("train_loss", "val_selection")))
