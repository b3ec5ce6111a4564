"""Attention of a query over its retrieved neighbours, and the fusion classifier over what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.fusion import FusionClassifier


class Neighbourhood(NamedTuple):
    """n queries and their neighbours.

    Attributes:
        own: float [n, hidden] per modality, zeros where unavailable.
        available: bool [n, 3].
        values: states of the neighbours float [n, k, hidden] per modality.
        scores: float [n, 3, k], NaN for none.
    """

    own: dict[str, Tensor]
    available: Tensor
    values: dict[str, Tensor]
    scores: Tensor


class NeighbourAttention(nn.Module):
    """Weights of k neighbours from the query's states, the neighbours' states and their scores.

    Scaled dot-product attention (Vaswani et al., "Attention Is All You Need", 2017), to whose logits the score over a
    learned temperature is added: it starts as the fixed weights softmax(score / tau) and learns what to change.

    Args:
        query_width: length of the query vector.
        width: of a neighbour's state.
        size: of the space in which they meet.
        tau: temperature of the scores at the start.
    """

    def __init__(self, query_width: int, width: int, size: int, tau: float) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, size)
        self.key = nn.Linear(width, size, bias=False)
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        self.log_scale = nn.Parameter(torch.tensor(tau).log().neg())

    def forward(
        self, query: Float[Tensor, "n q"], values: Float[Tensor, "n k h"], scores: Float[Tensor, "n k"]
    ) -> Float[Tensor, "n k"]:
        """Weights that sum to 1 over the neighbours; zeros where a row has none."""
        found = ~scores.isnan()
        logits = torch.einsum("nd,nkd->nk", self.query(query), self.key(values)) / self.key.out_features**0.5
        logits = logits + scores.nan_to_num(0.0) * self.log_scale.exp()
        # A row without neighbours would be a softmax over nothing: it gets even weights, then zeros.
        logits = logits.masked_fill(~found & found.any(dim=1, keepdim=True), -torch.inf)
        return logits.softmax(dim=1) * found


class AttendingClassifier(nn.Module):
    """A fusion classifier over available states and, for missing ones, attended neighbours' states.

    Its input is that of every imputing method: [h_a, h_v, h_t, available bits, imputed bits].

    Args:
        dims: length of the states per modality, 0 where the corpus lacks it.
        hidden, classes, dropout: as in ``FusionClassifier``.
        size: of the attention's space. tau: temperature of the scores at the start.
    """

    def __init__(
        self, dims: Mapping[str, int], hidden: Sequence[int], classes: int, dropout: float, size: int, tau: float
    ) -> None:
        super().__init__()
        width, bits = sum(dims.values()), len(MODALITIES)
        self.attention = nn.ModuleDict(
            {m: NeighbourAttention(width + bits, dims[m], size, tau) for m in MODALITIES if dims[m]}
        )
        self.classifier = FusionClassifier(width + 2 * bits, hidden, classes, dropout)

    def forward(self, near: Neighbourhood) -> Float[Tensor, "n classes"]:
        bits = near.available.to(near.scores.dtype)
        query = torch.cat([*(near.own[m] for m in MODALITIES), bits], dim=1)
        stand_ins = {}
        for i, m in enumerate(MODALITIES):
            stand_ins[m] = torch.zeros_like(near.own[m])
            if m in self.attention:
                weights = self.attention[m](query, near.values[m], near.scores[:, i])
                mixed = torch.einsum("nk,nkh->nh", weights, near.values[m])
                stand_ins[m] = nn.functional.normalize(mixed, dim=1)
        scores: Tensor = self.classifier(assemble(near.own, near.available, stand_ins, found(near.scores)))
        return scores


def found(scores: Float[Tensor, "n t k"]) -> Bool[Tensor, "n t"]:
    """Whether anything was retrieved for each target."""
    return ~scores.isnan().all(dim=2)


def assemble(
    own: Mapping[str, Tensor],
    available: Bool[Tensor, "n 3"],
    stand_ins: Mapping[str, Tensor],
    imputed: Bool[Tensor, "n 3"],
) -> Float[Tensor, "n width"]:
    """The input of a fusion classifier from own states [n, hidden] and what stands in for missing ones."""
    columns = [torch.where(available[:, i, None], own[m], stand_ins[m]) for i, m in enumerate(MODALITIES)]
    bits = torch.cat([available, imputed & ~available], dim=1)
    return torch.cat([*columns, bits.to(columns[0].dtype)], dim=1)
