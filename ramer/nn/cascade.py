"""The cascade of residual autoencoders with which MMIN imagines missing modalities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Cascaded(NamedTuple):
    """What comes out of a cascade.

    Attributes:
        output: [n, width], after the transition.
        latents: [n, blocks * layers[-1]], one bottleneck after the other.
    """

    output: Tensor
    latents: Tensor


class ResidualCascade(nn.Module):
    """Autoencoders in a row.

    Without a guide, a block sees the running sum of the input and all blocks' outputs so far (MMIN, Zhao et al.,
    ACL 2021). With one, a block sees the previous block's output (the first: the input) plus the guide (IF-MMIN,
    Zuo et al., ICASSP 2023). Encoders have LeakyReLU, decoders ReLU between their layers. What leaves the last block
    passes a transition of two layers.

    Args:
        width: of input, guide and output.
        layers: widths of a block's encoder, its bottleneck last.
        blocks: number of autoencoders.
    """

    def __init__(self, width: int, layers: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(_stack([width, *layers], nn.LeakyReLU) for _ in range(blocks))
        self.decoders = nn.ModuleList(_stack([width, *layers][::-1], nn.ReLU) for _ in range(blocks))
        self.transition = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Float[Tensor, "n width"], guide: Float[Tensor, "n width"] | None = None) -> Cascaded:
        latents = []
        for encoder, decoder in zip(self.encoders, self.decoders, strict=True):
            seen = x if guide is None else x + guide
            latents.append(encoder(seen))
            decoded = decoder(latents[-1])
            x = x + decoded if guide is None else decoded
        return Cascaded(self.transition(x), torch.cat(latents, dim=1))


def _stack(widths: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers with an activation between them, none after the last."""
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), activation()]
    return nn.Sequential(*parts[:-1])
