"""One network trained on randomly masked raw features: the strongest plain baseline.

``form: mlp`` zero-fills and adds one availability bit per modality (ModDrop, Neverova et al., TPAMI 2016, with whole
conditions drawn instead of independent modalities); ``form: transformer`` attends over modality tokens with a learned
token for each missing one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor, nn

from ramer.config import Count, Dropout
from ramer.methods.shared.contract import MethodOptions
from ramer.methods.shared.masked_network import MaskedTraining, NeuralMethod, choose
from ramer.nn.masked import MaskedClassifier
from ramer.nn.tokens import TokenTransformer
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch


class ModalityDropoutOptions(MethodOptions):
    """Options of ``modality_dropout``.

    Attributes:
        form: mlp, or transformer over modality tokens.
        input_dropouts: of the features, one chosen on validation.
        width, heads, layers, token_dropout: of the transformer; the MLP's sizes are those of ``train``.
    """

    form: Literal["mlp", "transformer"] = "mlp"
    input_dropouts: tuple[Dropout, ...] = Field(default=(0.0, 0.3), min_length=1, strict=False)
    width: Count = 64
    heads: Count = 4
    layers: Count = 2
    token_dropout: Dropout = 0.3

    @model_validator(mode="after")
    def _check(self) -> ModalityDropoutOptions:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        return self


class ModalityDropout(NeuralMethod[ModalityDropoutOptions]):
    """Random masks in training, zeros (or learned tokens) and availability in the input."""

    def new_network(self, input_dropout: float = 0.0) -> nn.Module:
        shape, options = self.shape, self.options
        if options.form == "mlp":
            return MaskedClassifier(
                shape.feature_dims, self.training.hidden, shape.classes, self.training.dropout, input_dropout
            ).to(self.device)
        return TokenTransformer(
            shape.feature_dims,
            shape.classes,
            width=options.width,
            heads=options.heads,
            layers=options.layers,
            dropout=options.token_dropout,
            input_dropout=input_dropout,
        ).to(self.device)

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        masked_training = MaskedTraining(self, train, val, rng)

        def fit(input_dropout: float, history: History) -> tuple[Fitted, nn.Module]:
            masked_training.seed("network")
            network = self.new_network(input_dropout)

            def loss(positions: Tensor, keep: Tensor) -> Tensor:
                return masked_training.cross_entropy(network, positions, keep)

            return masked_training.run(network, loss, network, history), network

        _, fitted, self.network_ = choose(self.options.input_dropouts, fit, log)
        return fitted
