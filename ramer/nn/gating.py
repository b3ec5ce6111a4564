"""Experts per modality whose scores a gate weighs (SimMLM)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.fusion import FusionClassifier
from ramer.nn.masked import Masked


class Gated(NamedTuple):
    """What comes out of gated experts.

    Attributes:
        scores: [n, classes].
        weights: of the experts per class, [n, 3, classes]; they sum to 1 over the modalities that are there.
    """

    scores: Tensor
    weights: Tensor


class GatedExperts(nn.Module):
    """One classifier per modality; a gate that sees all of a row weighs their scores, class by class.

    Args:
        dims: length of the vectors per modality, 0 where the corpus lacks it.
        hidden, classes, dropout: of every expert, as in ``FusionClassifier``.
        width: hidden width of the gate.
    """

    def __init__(
        self, dims: Mapping[str, int], hidden: Sequence[int], classes: int, dropout: float, width: int
    ) -> None:
        super().__init__()
        self.classes = classes
        self.experts = nn.ModuleDict({m: FusionClassifier(d, hidden, classes, dropout) for m, d in dims.items() if d})
        self.gate = FusionClassifier(sum(dims.values()) + len(MODALITIES), [width], len(MODALITIES) * classes, dropout)

    def unimodal(self, inputs: Masked) -> Float[Tensor, "n 3 classes"]:
        """Scores of each modality by its own expert; zeros where the corpus lacks it."""
        rows = inputs.available
        nothing = torch.zeros(len(rows), self.classes, device=rows.device)
        return torch.stack(
            [self.experts[m](inputs.values[m]) if m in self.experts else nothing for m in MODALITIES], dim=1
        )

    def forward(self, inputs: Masked) -> Gated:
        vectors = inputs.concatenated()
        seen = torch.cat([vectors, inputs.available.to(vectors.dtype)], dim=1)
        logits = self.gate(seen).view(-1, len(MODALITIES), self.classes)
        # A row with nothing would be a softmax over nothing: it keeps even weights, and no one reads its scores.
        absent = ~inputs.available & inputs.available.any(dim=1, keepdim=True)
        weights = logits.masked_fill(absent[:, :, None], -torch.inf).softmax(dim=1)
        return Gated((weights * self.unimodal(inputs)).sum(dim=1), weights)
