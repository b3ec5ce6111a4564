"""Keys that rows of any modality share: what a modality says of its clip, as one vector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

WIDTH, SIZE = 128, 64


class KeyEncoders(nn.ModuleDict):
    """A small network per modality into one space.

    Args:
        dims: length of the features per modality, 0 where the corpus lacks it.
        dropout: of the hidden layer.
    """

    def __init__(self, dims: Mapping[str, int], dropout: float = 0.3) -> None:
        super().__init__(
            {
                m: nn.Sequential(nn.Linear(dim, WIDTH), nn.ReLU(), nn.Dropout(dropout), nn.Linear(WIDTH, SIZE))
                for m, dim in dims.items()
                if dim
            }
        )

    def of(self, modality: str, features: Float[Tensor, "n dim"]) -> Float[Tensor, "n size"]:
        """Keys of unit length of one modality's standardised features."""
        return nn.functional.normalize(self[modality](features), dim=1)


def info_nce(first: Float[Tensor, "n size"], second: Float[Tensor, "n size"], temperature: float) -> Float[Tensor, ""]:
    """Symmetric InfoNCE of unit vectors: row i of one belongs to row i of the other.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021; the loss is van
    den Oord et al.'s, arXiv 1807.03748.
    """
    scores = first @ second.T / temperature
    own = torch.arange(len(scores), device=scores.device)
    return (nn.functional.cross_entropy(scores, own) + nn.functional.cross_entropy(scores.T, own)) / 2
