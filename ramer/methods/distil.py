"""A full-modality teacher labels the pool; a student learns its soft labels under random masks.

Knowledge distillation (Hinton, Vinyals and Dean, 2015) across conditions: the teacher reads everything that a row
holds, the student what a drawn mask leaves of it. Pool rows have no labels, and need none: that is what a pool is
good for without any retrieval. Without a pool the training rows alone are distilled.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ramer.config import Count, Dropout, Positive, Searched
from ramer.inputs import FEATURES, STATES
from ramer.methods.shared.contract import MethodOptions
from ramer.methods.shared.masked_network import MaskedTraining, NeuralMethod, choose, masked_inputs, stacked
from ramer.nn.losses import soft_cross_entropy
from ramer.nn.masked import Masked, MaskedClassifier
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch


class DistilOptions(MethodOptions):
    """Options of ``distil``.

    Attributes:
        inputs: raw features, or hidden states of unit length.
        input_dropouts: of the student, chosen on validation.
        weight: of the soft labels beside cross-entropy.
        temperature: that softens the teacher.
        pool_rows: drawn for each labelled row of a step.
    """

    inputs: Literal["features", "states"] = "features"
    input_dropouts: tuple[Dropout, ...] = Field(default=(0.0, 0.3), min_length=1, strict=False)
    weight: Annotated[float, Field(ge=0.0), Searched(0.1, 10.0, log=True)] = 1.0
    temperature: Annotated[Positive, Searched(0.5, 8.0, log=True)] = 1.0
    pool_rows: Annotated[Count, Searched(1, 8, log=True)] = 2

    @property
    def unsearched(self) -> frozenset[str]:
        return frozenset(() if self.weight else {"temperature", "pool_rows"})


class Distil(NeuralMethod[DistilOptions]):
    """The network of ``modality_dropout``, taught by its full-modality twin.

    With ``inputs: features`` it learns from the raw vectors to the classes, so that what would be encoder and head are
    taught together; with ``states`` the pretrained encoders stay as they are and the head alone is taught.
    """

    inputs = frozenset({FEATURES, STATES})

    def masked(self, batch: Batch) -> Masked:
        return masked_inputs(batch, self.options.inputs, self.device)

    def new_network(self, input_dropout: float = 0.0) -> nn.Module:
        dims = self.shape.feature_dims if self.options.inputs == FEATURES else self.shape.state_dims
        training = self.training
        return MaskedClassifier(dims, training.hidden, self.shape.classes, training.dropout, input_dropout).to(
            self.device
        )

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        masked_training = MaskedTraining(self, train, val, rng)
        rows, soft = self._soft_labels(masked_training, train)

        def fit(input_dropout: float, history: History) -> tuple[Fitted, nn.Module]:
            masked_training.seed("student")
            network = self.new_network(input_dropout)
            draw = torch.Generator().manual_seed(int(rng.integers(2**31)))

            def loss(positions: Tensor, keep: Tensor) -> Tensor:
                hard = masked_training.cross_entropy(network, positions, keep)
                drawn = torch.randint(len(soft), (len(positions) * self.options.pool_rows,), generator=draw)
                seen = rows.take(drawn)
                masks = masked_training.draw_masks(seen.available, draw)
                return hard + self.options.weight * soft_cross_entropy(network(seen.under(masks)), soft[drawn])

            return masked_training.run(network, loss, network, history, generators=[draw]), network

        _, fitted, self.network_ = choose(self.options.input_dropouts, fit, log)
        return fitted

    def _soft_labels(self, masked_training: MaskedTraining, train: TrainingBatch) -> tuple[Masked, Tensor]:
        """All training and pool rows that hold anything, and the teacher's probabilities for them."""
        teacher = self._teacher(masked_training)
        rows = masked_training.complete
        if len(train.pool_rows):
            pool = self.masked(train.pool())
            rows = stacked([rows, pool.take(pool.available.any(dim=1).nonzero().squeeze(1))])
        with torch.inference_mode():
            soft = (teacher(rows) / self.options.temperature).softmax(dim=1)
        return rows, soft.clone()

    def _teacher(self, masked_training: MaskedTraining) -> nn.Module:
        """Trained on rows with everything that they hold, chosen by its full rows."""

        def fit(input_dropout: float, history: History) -> tuple[Fitted, nn.Module]:
            masked_training.seed("teacher")
            network = self.new_network(input_dropout)

            def loss(positions: Tensor, keep: Tensor) -> Tensor:
                return masked_training.cross_entropy(network, positions, torch.ones_like(keep))

            return masked_training.run(network, loss, network, history, full_only=True), network

        return choose(self.options.input_dropouts, fit, History())[2]
