"""Shared and specific parts of modalities, and a memory of prototypes that stands in for specific ones (PriMD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.masked import Masked

MOST_ROWS = 256  # whose kernels are compared at a time


class Parts(NamedTuple):
    """What a network of parts says.

    Attributes:
        scores: [n, classes].
        unimodal: scores of each modality's own head, [n, 3, classes].
        shared, specific: of each modality, [n, 3, width], zeros where unavailable; specific with what stands in.
        cost: of what was retrieved, [n]; zeros without a memory.
    """

    scores: Tensor
    unimodal: Tensor
    shared: Tensor
    specific: Tensor
    cost: Tensor


class PrototypeMemory(nn.Module):
    """From what the available modalities share to prototypes of a missing one.

    Prototypes are ranked by their attention; the weighted means of the best 1 to ``most`` are candidates, and a small
    network on the query chooses among them (by Gumbel noise while it trains), at a cost that grows with their number.

    Args:
        width: of queries and prototypes.
        capacity: prototypes per modality.
        most: retrieved at most.
        size: of the space in which queries meet prototypes.
        temperature: of the choice.
    """

    keys: Tensor
    contents: Tensor

    def __init__(self, width: int, capacity: int, most: int, size: int, temperature: float) -> None:
        super().__init__()
        self.most, self.temperature = min(most, capacity), temperature
        self.register_buffer("keys", torch.zeros(len(MODALITIES), capacity, width))
        self.register_buffer("contents", torch.zeros(len(MODALITIES), capacity, width))
        self.query = nn.ModuleList(nn.Linear(width, size) for _ in MODALITIES)
        self.key = nn.ModuleList(nn.Linear(width, size) for _ in MODALITIES)
        self.count = nn.ModuleList(two_layers(width, self.most, 0.0) for _ in MODALITIES)

    def forward(self, query: Float[Tensor, "n width"], i: int) -> tuple[Tensor, Tensor]:
        """What stands in for modality number ``i``, [n, width], and its cost [n]."""
        key: Tensor = self.key[i](self.keys[i])
        attention = (self.query[i](query) @ key.T / key.shape[1] ** 0.5).softmax(dim=1)
        weight, place = attention.topk(self.most, dim=1)
        found = weight[:, :, None] * self.contents[i][place]
        candidates = found.cumsum(dim=1) / weight.cumsum(dim=1)[:, :, None].clamp(min=1e-6)
        logits = self.count[i](query)
        if self.training:
            chosen = nn.functional.gumbel_softmax(logits, tau=self.temperature)
        else:
            chosen = (logits / self.temperature).softmax(dim=1)
        price = torch.exp(torch.arange(1, self.most + 1, device=query.device) / self.most) - 1
        return (chosen[:, :, None] * candidates).sum(dim=1), (chosen * price).sum(dim=1)


class PartsNetwork(nn.Module):
    """Each modality's vector as a part that all share and one of its own; their mean and the three are classified.

    Args:
        dims: length of the vectors per modality, 0 where the corpus lacks it.
        classes: number of classes.
        width: of the parts.
        dropout: of encoders and classifier.
        memory: stands in for the specific part of a missing modality; zeros do without one.
    """

    def __init__(
        self, dims: Mapping[str, int], classes: int, width: int, dropout: float, memory: PrototypeMemory | None = None
    ) -> None:
        super().__init__()
        self.width = width
        self.encoders = nn.ModuleDict(
            {m: nn.Sequential(nn.Linear(d, width), nn.ReLU(), nn.Dropout(dropout)) for m, d in dims.items() if d}
        )
        self.shared = nn.ModuleList(two_layers(width, width, dropout) for _ in MODALITIES)
        self.specific = nn.ModuleList(two_layers(width, width, dropout) for _ in MODALITIES)
        self.heads = nn.ModuleList(nn.Linear(2 * width, classes) for _ in MODALITIES)
        self.classifier = nn.Sequential(
            nn.Linear(4 * width, 2 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * width, classes)
        )
        self.memory = memory

    def forward(self, inputs: Masked) -> Parts:
        held = inputs.available[:, :, None]
        hidden = [self._encode(inputs, m) for m in MODALITIES]
        shared = torch.stack([part(h) for part, h in zip(self.shared, hidden, strict=True)], dim=1) * held
        specific = torch.stack([part(h) for part, h in zip(self.specific, hidden, strict=True)], dim=1) * held
        joint = shared.sum(dim=1) / held.sum(dim=1).clamp(min=1)
        cost = joint.new_zeros(len(joint))
        if self.memory is not None:
            found, costs = zip(*(self.memory(joint, i) for i in range(len(MODALITIES))), strict=True)
            specific = torch.where(held, specific, torch.stack(found, dim=1))
            cost = (torch.stack(costs, dim=1) * ~inputs.available).sum(dim=1)
        unimodal = [head(torch.cat([shared[:, i], specific[:, i]], dim=1)) for i, head in enumerate(self.heads)]
        scores = self.classifier(torch.cat([joint, specific.flatten(1)], dim=1))
        return Parts(scores, torch.stack(unimodal, dim=1), shared, specific, cost)

    def _encode(self, inputs: Masked, modality: str) -> Float[Tensor, "n width"]:
        if modality not in self.encoders:
            return torch.zeros(len(inputs.available), self.width, device=inputs.available.device)
        encoded: Tensor = self.encoders[modality](inputs.values[modality])
        return encoded


def two_layers(width: int, out: int, dropout: float) -> nn.Sequential:
    """Two linear layers with ReLU and dropout between them."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, out))


def dependence(x: Float[Tensor, "n width"], y: Float[Tensor, "n width"]) -> Float[Tensor, ""]:
    """Hilbert-Schmidt independence criterion of two samples, Gaussian kernels of median width; 0 of fewer than two.

    Gretton et al., "Measuring Statistical Dependence with Hilbert-Schmidt Norms", ALT 2005.
    """
    rows = min(len(x), MOST_ROWS)
    if rows < 2:
        return x.new_zeros(())
    first, second = (_centred(_kernel(sample[:rows])) for sample in (x, y))
    return (first * second).sum() / (rows - 1) ** 2


def _kernel(x: Tensor) -> Tensor:
    squared = (x[:, None] - x[None]).square().sum(dim=2)
    return torch.exp(-squared / (2 * squared.detach().median().clamp(min=1e-6)))


def _centred(kernel: Tensor) -> Tensor:
    return kernel - kernel.mean(dim=0, keepdim=True) - kernel.mean(dim=1, keepdim=True) + kernel.mean()
