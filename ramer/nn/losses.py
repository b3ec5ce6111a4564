"""Losses of the imagination networks."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def masked_mse(
    predicted: Float[Tensor, "n slots width"], target: Float[Tensor, "n slots width"], counts: Bool[Tensor, "n slots"]
) -> Float[Tensor, ""]:
    """Mean squared error over the slots that count; 0 where none does."""
    error = (predicted - target).square().mean(dim=-1)
    return torch.where(counts, error, 0.0).sum() / counts.sum().clamp(min=1)


def soft_cross_entropy(scores: Float[Tensor, "n classes"], target: Float[Tensor, "n classes"]) -> Float[Tensor, ""]:
    """Mean cross-entropy of the scores' softmax against probabilities (Hinton et al., 2015)."""
    return -(target * scores.log_softmax(dim=1)).sum(dim=1).mean()


def central_moment_discrepancy(
    x: Float[Tensor, "n width"], y: Float[Tensor, "m width"], moments: int = 5
) -> Float[Tensor, ""]:
    """Distance of two samples' means plus that of their central moments of order 2 to ``moments``; 0 for an empty one.

    Zellinger et al., ICLR 2017, without the factors for a bounded activation (as MISA and IF-MMIN use it).
    """
    if len(x) == 0 or len(y) == 0:
        return x.new_zeros(())
    mean_x, mean_y = x.mean(dim=0), y.mean(dim=0)
    distance = torch.linalg.vector_norm(mean_x - mean_y)
    x, y = x - mean_x, y - mean_y
    for order in range(2, moments + 1):
        distance = distance + torch.linalg.vector_norm(x.pow(order).mean(dim=0) - y.pow(order).mean(dim=0))
    return distance
