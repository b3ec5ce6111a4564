"""A transformer encoder layer for the two-token sequence [CLS, feature] of which only CLS is read.

The mathematics is that of ``nn.TransformerEncoderLayer`` (post-norm, ReLU), at a fraction of the work:

* a softmax over two keys is a sigmoid of the difference of their scores, so only the difference of the two
  tokens goes through the key projection (whose bias cancels, hence there is none);
* in the first layer CLS is one row for the whole batch;
* the last layer needs the CLS query alone, and without gradients mixes the tokens before the value projection
  instead of after it (with them, the projection's gradient would have to be copied).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.nn.linear import ReusingLinear


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
        self.query = ReusingLinear(width, width)
        self.key = ReusingLinear(width, width, bias=False)
        self.value = ReusingLinear(width, width)
        self.out_proj = ReusingLinear(width, width)
        self.linear1 = ReusingLinear(width, ff_dim)
        self.linear2 = ReusingLinear(ff_dim, width)
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
        key = self.key(cls - feature)
        weights = [self._weights(query, key) for query in self.query(tokens).split([shared, rows])]
        values = self.value(tokens)
        attended = self._attend(weights, values)
        tokens = torch.cat([cls.expand(rows, -1), feature])
        cls, feature = self._finish(tokens, attended).split([rows, rows])
        return cls, feature

    def read_cls(self, cls: Float[Tensor, "m dim"], feature: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """The CLS token alone after the layer; arguments as in ``forward``."""
        weights = self._weights(self.query(cls), self.key(cls - feature))
        if len(cls) == len(feature) and not torch.is_grad_enabled():
            attended = self.out_proj(self._value_of_mixture(weights, cls, feature))
        else:
            attended = self._attend([weights], self.value(torch.cat([cls, feature])))
        return self._finish(cls, attended)

    def _weights(self, query: Tensor, key: Tensor) -> Tensor:
        """Attention weights [2, n, heads, 1] of CLS and feature, from queries and the difference of the keys."""
        scores = (query * key).unflatten(-1, (self.heads, -1)).sum(-1, keepdim=True)
        scores = scores * math.sqrt(self.heads / key.shape[-1])
        weights: Tensor = self.dropout(torch.stack([scores, -scores]).sigmoid())
        return weights

    def _attend(self, weights: list[Tensor], values: Tensor) -> Tensor:
        """Attention's output [queries n, dim] from weights per query token and the tokens' values [m + n, dim]."""
        rows = weights[0].shape[1]
        cls, feature = values.unflatten(-1, (self.heads, -1)).split([len(values) - rows, rows])
        mixed = torch.cat([cls_weight * cls + feature_weight * feature for cls_weight, feature_weight in weights])
        attended: Tensor = self.out_proj(mixed.flatten(-2))
        return attended

    def _value_of_mixture(self, weights: Tensor, cls: Tensor, feature: Tensor) -> Tensor:
        """The mixed value of two tokens [n, dim], by mixing first: one value projection per row instead of two."""
        cls_weight, feature_weight = weights.transpose(1, 2)  # [heads, n, 1] each
        mixed = cls_weight * cls + feature_weight * feature  # [heads, n, dim]
        projection = self.value.weight.unflatten(0, (self.heads, -1))  # [heads, head_dim, dim]
        values = torch.bmm(mixed, projection.transpose(1, 2))  # [heads, n, head_dim]
        bias = self.value.bias.unflatten(0, (self.heads, 1, -1))
        return (values + (cls_weight + feature_weight) * bias).transpose(0, 1).flatten(-2)

    def _finish(self, tokens: Tensor, attended: Tensor) -> Tensor:
        tokens = self.norm1(tokens + self.dropout(attended))
        hidden = self.dropout(nn.functional.relu(self.linear1(tokens)))
        finished: Tensor = self.norm2(tokens + self.dropout(self.linear2(hidden)))
        return finished
