"""Cross-attention from a row to complete rows like it, and to their labels (ICL-CA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ramer.modalities import MODALITIES

TOKEN_STD = 0.02  # of the initial learned tokens


class Context(NamedTuple):
    """n rows and the complete rows that were found for them: those hold what the corpus has of modalities.

    Attributes:
        own: states [n, hidden] per modality, zeros where unavailable.
        available: bool [n, 3].
        neighbours: states [n, k, hidden] per modality, zeros where it is not held.
        held: by the neighbours, bool [n, k, 3]; any where none was found.
        labels: of the neighbours, int64 [n, k], -1 for none.
        found: which of the k places hold a neighbour, bool [n, k].
    """

    own: dict[str, Tensor]
    available: Bool[Tensor, "n 3"]
    neighbours: dict[str, Tensor]
    held: Bool[Tensor, "n k 3"]
    labels: Int[Tensor, "n k"]
    found: Bool[Tensor, "n k"]


class ContextClassifier(nn.Module):
    """Tokens of a row attend to the tokens of complete rows; the token at its label's place is classified.

    A row is a token per modality and one for its label, whose place is a learned token in the query. Neighbours' tokens
    know the rank of their row. A token that stands for nothing is always there to attend to.

    Args:
        dims: length of the states per modality, 0 where the corpus lacks it (its token is always the missing one).
        classes: number of classes.
        k: neighbours at most.
        width: of the tokens, a multiple of heads.
        heads, layers, dropout: of the attention; the feed-forward part is twice as wide.
    """

    def __init__(
        self, dims: Mapping[str, int], classes: int, k: int, *, width: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.projections = nn.ModuleDict({m: nn.Linear(d, width) for m, d in dims.items() if d})
        self.missing = nn.Parameter(torch.randn(len(MODALITIES), width) * TOKEN_STD)
        self.place = nn.Parameter(torch.randn(len(MODALITIES) + 1, width) * TOKEN_STD)
        self.rank = nn.Parameter(torch.randn(k, 1, width) * TOKEN_STD)
        self.nothing = nn.Parameter(torch.randn(1, width) * TOKEN_STD)
        self.label = nn.Embedding(classes + 1, width)  # the last one: no label
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.classifier = nn.Sequential(nn.LayerNorm(width), nn.GELU(), nn.Linear(width, classes))

    def forward(self, rows: Context) -> Float[Tensor, "n classes"]:
        no_label = torch.full_like(rows.labels[:, :1], -1)
        query = self._tokens({m: s[:, None] for m, s in rows.own.items()}, rows.available[:, None], no_label)[:, 0]
        near = self._tokens(rows.neighbours, rows.held, rows.labels) + self.rank
        places = rows.found[:, :, None].expand(near.shape[:3]).flatten(1)
        context = torch.cat([self.nothing.expand(len(near), 1, -1), near.flatten(1, 2)], dim=1)
        unseen = torch.cat([torch.zeros_like(places[:, :1]), ~places], dim=1)
        for layer in self.layers:
            query = layer(query, context, memory_key_padding_mask=unseen)
        scores: Tensor = self.classifier(query[:, -1])
        return scores

    def _tokens(
        self, states: Mapping[str, Tensor], available: Bool[Tensor, "n k 3"], labels: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k 4 width"]:
        """The tokens of k rows each: their modalities, then their label."""
        tokens = []
        for i, m in enumerate(MODALITIES):
            token = self.missing[i].expand(*labels.shape, -1)
            if m in self.projections:
                token = torch.where(available[:, :, i, None], self.projections[m](states[m]), token)
            tokens.append(token)
        tokens.append(self.label(torch.where(labels < 0, self.label.num_embeddings - 1, labels)))
        return torch.stack(tokens, dim=2) + self.place
