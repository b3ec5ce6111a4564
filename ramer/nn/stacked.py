"""Linear layers of several networks that differ in their weights only, as one stack of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class StackedLinear(NamedTuple):
    """Linear layers of all replicates: [replicates, n, in] to [replicates, n, out]."""

    weight: Tensor  # [replicates, in, out]
    bias: Tensor  # [replicates, 1, out]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def stack_linear(layers: Sequence[nn.Linear]) -> StackedLinear:
    return StackedLinear(
        torch.stack([layer.weight for layer in layers]).transpose(1, 2),
        torch.stack([layer.bias for layer in layers])[:, None],
    )


def stack_perceptrons(networks: Sequence[nn.Sequential]) -> list[StackedLinear]:
    """The linear layers of perceptrons with ReLUs between them; dropout does nothing when they predict."""
    linear = [[part for part in network if isinstance(part, nn.Linear)] for network in networks]
    return [stack_linear(same) for same in zip(*linear, strict=True)]


def apply_perceptrons(layers: Sequence[StackedLinear], x: Tensor) -> Tensor:
    """[replicates, n, in] through ``stack_perceptrons``' layers."""
    for position, linear in enumerate(layers):
        x = linear(x.relu() if position else x)
    return x
