"""One small network per modality: utterance vectors to embeddings of one common length."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.masked import Masked


class ModalityEmbedders(nn.Module):
    """A two-layer network per modality.

    A masked modality is a zero vector that passes its network like any other (as in MMIN), so its embedding is one
    learned constant; a modality that the corpus lacks is zeros.

    Args:
        dims: length of the vectors per modality, 0 where the corpus lacks it.
        width: of an embedding.
        dropout: between the two layers.
    """

    def __init__(self, dims: Mapping[str, int], width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.networks = nn.ModuleDict({m: _network(d, width, dropout) for m, d in dims.items() if d})

    def forward(self, inputs: Masked) -> Float[Tensor, "n 3 width"]:
        rows = inputs.available
        zeros = torch.zeros(len(rows), self.width, device=rows.device)
        return torch.stack(
            [self.networks[m](inputs.values[m]) if m in self.networks else zeros for m in MODALITIES], dim=1
        )


def _network(dim: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width), nn.ReLU())
