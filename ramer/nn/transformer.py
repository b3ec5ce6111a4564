"""A transformer encoder layer for the two-token sequence [CLS, feature] of which only CLS is read.

The mathematics is that of ``nn.TransformerEncoderLayer`` (post-norm, ReLU), at a fraction of the work:

* a softmax over two keys is a sigmoid of the difference of their scores, so only the difference of the two
  tokens goes through the key projection (whose bias cancels, hence there is none);
* in the first layer CLS is one row for the whole batch;
* the last layer needs the CLS query alone, and mixes the tokens before the value projection instead of after it.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TwoTokenLayer(nn.Module):
    """One post-norm encoder layer over a CLS token and a feature token.

    Args:
        width: of the tokens, a multiple of heads.
        heads: of the attention.
        ff_dim: width of the feed-forward block.
        dropout: of attention weights, of both blocks' outputs and inside the feed-forward block.
    """

    def __init__(self, width: int, heads: int, ff_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.linear1 = nn.Linear(width, ff_dim)
        self.linear2 = nn.Linear(ff_dim, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self._initialise(width)

    def _initialise(self, width: int) -> None:
        # The stock layer draws query, key and value as one [3 width, width] matrix: same bound here.
        bound = math.sqrt(6.0 / (4 * width))
        for projection in (self.query, self.key, self.value):
            nn.init.uniform_(projection.weight, -bound, bound)
        for bias in (self.query.bias, self.value.bias, self.out_proj.bias):
            nn.init.zeros_(bias)

    def forward(
        self, cls: Float[Tensor, "m dim"], feature: Float[Tensor, "n dim"]
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Both tokens of every row after the layer.

        Args:
            cls: [n, dim], or [1, dim] where all rows share it (the first layer).
            feature: [n, dim].
        """
        rows, shared = len(feature), len(cls)
        tokens = torch.cat([cls, feature])  # [m + n, dim]
        cls_query, feature_query = self.query(tokens).split([shared, rows])
        cls_value, feature_value = self.value(tokens).split([shared, rows])
        key = self.key(cls - feature)
        attended = torch.cat(
            [self._mix(self._weights(query, key), cls_value, feature_value) for query in (cls_query, feature_query)]
        )  # [2 n, dim]
        tokens = torch.cat([cls.expand(rows, -1), feature])
        cls, feature = self._finish(tokens, attended).split([rows, rows])
        return cls, feature

    def read_cls(self, cls: Float[Tensor, "m dim"], feature: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """The CLS token alone after the layer; arguments as in ``forward``."""
        weights = self._weights(self.query(cls), self.key(cls - feature))
        if len(cls) == len(feature):
            return self._finish(cls, self._project_mixture(weights, cls, feature))
        cls_value, feature_value = self.value(torch.cat([cls, feature])).split([len(cls), len(feature)])
        return self._finish(cls, self._mix(weights, cls_value, feature_value))

    def _weights(self, query: Tensor, key: Tensor) -> Tensor:
        """Attention weights [2, n, heads, 1] of CLS and feature, from queries and the difference of the keys."""
        scores = (query * key).unflatten(-1, (self.heads, -1)).sum(-1, keepdim=True)
        scores = scores * math.sqrt(self.heads / key.shape[-1])
        weights: Tensor = self.dropout(torch.stack([scores, -scores]).sigmoid())
        return weights

    def _mix(self, weights: Tensor, cls: Tensor, feature: Tensor) -> Tensor:
        """Sum of the two tokens' values [m, dim] and [n, dim], weighted per head."""
        shape = (self.heads, -1)
        return (weights[0] * cls.unflatten(-1, shape) + weights[1] * feature.unflatten(-1, shape)).flatten(-2)

    def _project_mixture(self, weights: Tensor, cls: Tensor, feature: Tensor) -> Tensor:
        """The same from the tokens themselves: one value projection per row instead of two."""
        cls_weight, feature_weight = weights.transpose(1, 2)  # [heads, n, 1] each
        mixed = cls_weight * cls + feature_weight * feature  # [heads, n, dim]
        projection = self.value.weight.unflatten(0, (self.heads, -1))  # [heads, head_dim, dim]
        values = torch.bmm(mixed, projection.transpose(1, 2))  # [heads, n, head_dim]
        bias = self.value.bias.unflatten(0, (self.heads, 1, -1))
        return (values + (cls_weight + feature_weight) * bias).transpose(0, 1).flatten(-2)

    def _finish(self, tokens: Tensor, attended: Tensor) -> Tensor:
        tokens = self.norm1(tokens + self.dropout(self.out_proj(attended)))
        hidden = self.dropout(nn.functional.relu(self.linear1(tokens)))
        finished: Tensor = self.norm2(tokens + self.dropout(self.linear2(hidden)))
        return finished
