"""A transformer over one token per modality, with a learned token for each missing one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.masked import Masked

TOKEN_STD = 0.02  # of the initial CLS, position and missing tokens


class TokenTransformer(nn.Module):
    """Tokens [CLS, audio, video, text] through a transformer encoder; CLS is classified.

    Args:
        dims: length of the vectors per modality, 0 where the corpus lacks it (its token is always the missing one).
        classes: number of classes.
        width: of the tokens, a multiple of heads.
        heads, layers, dropout: as in ``nn.TransformerEncoderLayer``; the feed-forward part is twice as wide.
        input_dropout: share of input features dropped while training.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        width: int,
        heads: int,
        layers: int,
        dropout: float,
        input_dropout: float,
    ) -> None:
        super().__init__()
        self.input_dropout = nn.Dropout(input_dropout)
        self.projections = nn.ModuleDict({m: nn.Linear(d, width) for m, d in dims.items() if d})
        self.cls = nn.Parameter(torch.randn(1, width) * TOKEN_STD)
        self.missing = nn.Parameter(torch.randn(len(MODALITIES), width) * TOKEN_STD)
        self.position = nn.Parameter(torch.randn(len(MODALITIES), width) * TOKEN_STD)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True) for _ in range(layers)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, inputs: Masked) -> Float[Tensor, "n classes"]:
        tokens = [self.cls.expand(len(inputs.available), -1)]
        for i, m in enumerate(MODALITIES):
            token = self.missing[i].expand_as(tokens[0])
            if m in self.projections:
                seen = self.projections[m](self.input_dropout(inputs.values[m]))
                token = torch.where(inputs.available[:, i, None], seen, token)
            tokens.append(token + self.position[i])
        sequence = torch.stack(tokens, dim=1)  # [n, 4, width]
        for layer in self.layers:
            sequence = layer(sequence)
        scores: Tensor = self.head(sequence[:, 0])
        return scores
