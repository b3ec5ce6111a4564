"""Experts per modality and the routers that mix them (MoMKE)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.masked import Masked

JOINT_DROPOUT = 0.1  # the paper's, before the joint head


class Expert(nn.Module):
    """Residual transformer blocks over a sequence of one utterance.

    Attention over a single key is its value projection whatever the query, so a block is value projection and MLP.

    Args:
        width: of input and output.
        depth: number of blocks.
        dropout: inside the MLP.
    """

    def __init__(self, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.values = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.mlps = nn.ModuleList(_mlp(width, width, dropout) for _ in range(depth))

    def forward(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
        for value, mlp in zip(self.values, self.mlps, strict=True):
            attended = value(x)
            x = x + attended + mlp(attended)
        return x


class Mixed(NamedTuple):
    """What comes out of a mixture of experts.

    Attributes:
        scores: [n, classes].
        weights: of the experts, [n, 3 modalities, 3 experts], 0 where a modality is missing.
    """

    scores: Tensor
    weights: Tensor


class ModalityExperts(nn.Module):
    """Every available modality through every expert, mixed by its own router, concatenated and classified.

    Args:
        dims: length of the vectors per modality, 0 where the corpus lacks it.
        classes: number of classes.
        width: of the experts.
        depth: blocks of an expert.
        dropout: of projections, experts and routers.
    """

    def __init__(self, dims: Mapping[str, int], classes: int, *, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        count = len(MODALITIES)
        self.width = width
        self.projections = nn.ModuleDict({m: nn.Linear(d, width) for m, d in dims.items() if d})
        self.projection_dropout = nn.Dropout(dropout)
        self.experts = nn.ModuleList(Expert(width, depth, dropout) for _ in MODALITIES)
        self.routers = nn.ModuleList(_mlp(width, count, dropout) for _ in MODALITIES)
        self.unimodal_heads = nn.ModuleList(nn.Linear(width, classes) for _ in MODALITIES)
        self.joint = nn.Sequential(nn.Linear(count * width, count * width), nn.ReLU(), nn.Dropout(JOINT_DROPOUT))
        self.joint_head = nn.Linear(count * width, classes)

    def project(self, inputs: Masked, i: int) -> Float[Tensor, "n width"]:
        """Modality number ``i`` at the width of the experts; zeros where the corpus lacks it."""
        m = MODALITIES[i]
        if m not in self.projections:
            return torch.zeros(len(inputs.available), self.width, device=inputs.available.device)
        projected: Tensor = self.projection_dropout(self.projections[m](inputs.values[m]))
        return projected

    def unimodal(self, inputs: Masked) -> Float[Tensor, "n 3 classes"]:
        """Scores of each modality by its own expert and head: the first stage. Rows without it mean nothing."""
        return torch.stack(
            [
                head(expert(self.project(inputs, i)))
                for i, (expert, head) in enumerate(zip(self.experts, self.unimodal_heads, strict=True))
            ],
            dim=1,
        )

    def forward(self, inputs: Masked) -> Mixed:
        mixed, weights = [], []
        for i, router in enumerate(self.routers):
            held = inputs.available[:, i].nonzero().squeeze(1)  # no work on rows that lack the modality
            x = self.project(inputs.take(held), i)
            weight = router(x).softmax(dim=1)
            outputs = torch.stack([expert(x) for expert in self.experts], dim=1)  # [held, experts, width]
            mixture = (weight[:, :, None] * outputs).sum(dim=1)
            rows = len(inputs.available)
            mixed.append(x.new_zeros(rows, self.width).index_copy(0, held, mixture))
            weights.append(x.new_zeros(rows, len(MODALITIES)).index_copy(0, held, weight))
        joint = torch.cat(mixed, dim=1)
        return Mixed(self.joint_head(joint + self.joint(joint)), torch.stack(weights, dim=1))


def _mlp(width: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, out), nn.Dropout(dropout)
    )
