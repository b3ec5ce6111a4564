"""Masked modalities as tensors, and the plain network over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.fusion import FusionClassifier


class Masked(NamedTuple):
    """Rows as a mask leaves them.

    Attributes:
        values: float [n, dim] per modality, zeros where unavailable.
        available: bool [n, 3].
    """

    values: dict[str, Tensor]
    available: Tensor

    def take(self, positions: Tensor) -> Masked:
        """The rows at ``positions`` (int [b])."""
        at = positions.to(self.available.device)
        # Four times as fast as indexing.
        return Masked({m: v.index_select(0, at) for m, v in self.values.items()}, self.available.index_select(0, at))

    def under(self, keep: Bool[Tensor, "n 3"]) -> Masked:
        """The same rows with what ``keep`` leaves out set to zero."""
        available = self.available & keep
        return Masked({m: v * available[:, i, None] for i, (m, v) in enumerate(self.values.items())}, available)

    def complement(self, keep: Bool[Tensor, "n 3"]) -> Masked:
        """The same rows with exactly what ``keep`` leaves out, as far as they hold it."""
        return self.under(~keep)

    def concatenated(self) -> Float[Tensor, "n width"]:
        """All modalities side by side."""
        return torch.cat([self.values[m] for m in MODALITIES], dim=1)


class MaskedClassifier(nn.Module):
    """An MLP over zero-filled features and one availability bit per modality.

    Args:
        dims: length of the vectors per modality, 0 where the corpus lacks it.
        hidden, classes, dropout: as in ``FusionClassifier``.
        input_dropout: share of input features dropped while training; the bits never are.
    """

    def __init__(
        self, dims: Mapping[str, int], hidden: Sequence[int], classes: int, dropout: float, input_dropout: float
    ) -> None:
        super().__init__()
        self.input_dropout = nn.Dropout(input_dropout)
        self.classifier = FusionClassifier(sum(dims.values()) + len(MODALITIES), hidden, classes, dropout)

    def forward(self, inputs: Masked) -> Float[Tensor, "n classes"]:
        features = self.input_dropout(inputs.concatenated())
        scores: Tensor = self.classifier(torch.cat([features, inputs.available.to(features.dtype)], dim=1))
        return scores
