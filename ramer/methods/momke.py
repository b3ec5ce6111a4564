"""Mixture of modality knowledge experts, MoMKE (Xu, Jiang and Liang, ACM Multimedia 2024), on utterance vectors.

First each modality's expert learns from that modality alone. Then every available modality passes all experts, a soft
router per modality weighs them, and the mixtures are concatenated and classified under random masks.
Departures: one utterance is a sequence of one (the paper reads dialogues), one model serves all conditions (the
published scripts train one per condition), experts are narrower and shallower by default (128, 2 for 256, 4), and
each stage has the budget of ``train`` (the paper: Adam, 1e-4, 100 + 100 epochs).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from torch import Tensor, nn

from ramer.config import Among, Count, Dropout, Searched
from ramer.methods.shared.contract import MethodOptions
from ramer.methods.shared.masked_network import MaskedTraining, NeuralMethod, train_experts
from ramer.nn.experts import Mixed, ModalityExperts
from ramer.nn.masked import Masked
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch


class MomkeOptions(MethodOptions):
    """Options of ``momke``.

    Attributes:
        width, depth: of an expert.
        dropout: of projections, experts and routers.
    """

    width: Annotated[Count, Among((32, 64, 128, 256))] = 128
    depth: Annotated[Count, Searched(1, 4)] = 2
    dropout: Annotated[Dropout, Searched(0.0, 0.8)] = 0.5


class Momke(NeuralMethod[MomkeOptions]):
    """Experts trained on their own modality, then mixed by soft routers."""

    def new_network(self) -> ModalityExperts:
        options = self.options
        return ModalityExperts(
            self.shape.feature_dims,
            self.shape.classes,
            width=options.width,
            depth=options.depth,
            dropout=options.dropout,
        ).to(self.device)

    def scores(self, network: nn.Module, inputs: Masked) -> Tensor:
        mixed: Mixed = network(inputs)
        return mixed.scores

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        masked_training = MaskedTraining(self, train, val, rng)
        masked_training.seed("network")
        self.network_ = network = self.new_network()
        train_experts(masked_training, network, network.unimodal)

        def loss(positions: Tensor, keep: Tensor) -> Tensor:
            return masked_training.cross_entropy(network, positions, keep)

        return masked_training.run(network, loss, lambda inputs: network(inputs).scores, log)
