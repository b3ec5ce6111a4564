"""Dynamic mixture of modality experts with a more-against-fewer ranking loss, SimMLM, on utterance vectors.

Li, Chen and Han, "SimMLM: A Simple Framework for Multi-modal Learning with Missing Modality" (ICCV 2025, arXiv
2507.19264). First each modality's expert learns to classify alone. Then a gate that sees the row weighs the experts'
scores, class by class and over the modalities that are there, and all is trained on two masks of every row: the loss
with more modalities must not exceed that with fewer (a hinge on their difference, weight .1).
Departures: experts are MLPs of ``train.hidden`` (the paper: networks for images), the gate is one hidden layer over
the zero-filled vectors and the mask bits, the smaller mask is the one that every method here draws and the larger one
its union with another draw, and each stage has the budget of ``train``. It remembers no rows, so it has no control of
that kind.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ramer.config import Among, Count, Searched
from ramer.methods.shared.contract import MethodOptions
from ramer.methods.shared.masked_network import MaskedTraining, NeuralMethod, train_experts
from ramer.nn.gating import Gated, GatedExperts
from ramer.nn.masked import Masked
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch


class SimmlmOptions(MethodOptions):
    """Options of ``simmlm``.

    Attributes:
        width: hidden width of the gate.
        ranking_weight: of the hinge by which more modalities must not be worse than fewer.
    """

    width: Annotated[Count, Among((16, 32, 64, 128))] = 64
    ranking_weight: Annotated[float, Field(ge=0.0), Searched(0.01, 10.0, log=True)] = 0.1


class Simmlm(NeuralMethod[SimmlmOptions]):
    """Experts trained on their own modality, then gated, with more modalities ranked above fewer."""

    def new_network(self) -> GatedExperts:
        training = self.training
        return GatedExperts(
            self.shape.feature_dims, training.hidden, self.shape.classes, training.dropout, self.options.width
        ).to(self.device)

    def scores(self, network: nn.Module, inputs: Masked) -> Tensor:
        gated: Gated = network(inputs)
        return gated.scores

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        masked_training = MaskedTraining(self, train, val, rng)
        masked_training.seed("network")
        self.network_ = network = self.new_network()
        train_experts(masked_training, network.experts, network.unimodal)
        draw = torch.Generator().manual_seed(int(rng.integers(2**31)))

        def loss(positions: Tensor, keep: Tensor) -> Tensor:
            complete, labels = masked_training.complete.take(positions), masked_training.labels[positions]
            fewer, more = (
                nn.functional.cross_entropy(network(complete.under(mask)).scores, labels, reduction="none")
                for mask in (keep, keep | masked_training.draw_masks(complete.available, draw))
            )
            return (more + fewer).mean() / 2 + self.options.ranking_weight * ranking_loss(more, fewer)

        return masked_training.run(network, loss, lambda inputs: network(inputs).scores, log, generators=(draw,))


def ranking_loss(more: Tensor, fewer: Tensor) -> Tensor:
    """By how much rows [n] are lost more of with more modalities than with fewer, on average; 0 where they are not."""
    return (more - fewer).clamp(min=0.0).mean()
