"""Weights of torch modules as the arrays of a checkpoint."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def weights_of(module: nn.Module, prefix: str) -> dict[str, np.ndarray]:
    """A module's weights as arrays, their names behind a prefix."""
    return {prefix + n: v.detach().cpu().numpy() for n, v in module.state_dict().items()}


def take_weights(module: Network, tensors: dict[str, np.ndarray], prefix: str) -> Network:
    """The module with what ``weights_of`` gave, in eval mode."""
    state = {n.removeprefix(prefix): torch.from_numpy(v) for n, v in tensors.items() if n.startswith(prefix)}
    module.load_state_dict(state)
    return module.eval()
