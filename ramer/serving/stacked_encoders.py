"""One modality's encoders of all replicates as one stack of matrices: a clip costs one pass instead of one each.

The mathematics is that of ``ramer.nn.encoder`` without gradients and dropout. For a single clip the arithmetic is
nothing beside the calls, of which there are a tenth here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.data.prepared import CLIP, Scaler
from ramer.errors import ModelError
from ramer.nn.encoder import LinearMap, UnimodalEncoder
from ramer.nn.stacked import StackedLinear, stack_linear
from ramer.nn.transformer import TwoTokenLayer


class StackedEncoders:
    """Encoders of one modality, which differ in their weights only, each with its scaler.

    Raises:
        ModelError: they differ in their architecture.
    """

    def __init__(self, members: Sequence[tuple[UnimodalEncoder, Scaler]]) -> None:
        encoders = [encoder for encoder, _ in members]
        self._mean = np.stack([scaler.mean for _, scaler in members])[:, None]
        self._std = np.stack([scaler.std for _, scaler in members])[:, None]
        shapes = {tuple((n, p.shape) for n, p in e.state_dict().items()) for e in encoders}
        if len(shapes) != 1 or len({e.last.heads for e in encoders}) != 1:
            raise ModelError("encoders: expected one architecture in all replicates, got several")
        with torch.inference_mode():
            projects = [e.project for e in encoders if isinstance(e.project, nn.Linear)]
            self._project = stack_linear(projects) if projects else None
            self._cls = torch.stack([e.cls + e.position[:1] for e in encoders])  # [replicates, 1, width]
            self._position = torch.stack([e.position[1:] for e in encoders])
            layers = [[*e.body, e.last] for e in encoders]
            self._layers = [_StackedLayer(same) for same in zip(*layers, strict=True)]
            self._to_hidden = stack_linear([e.to_hidden for e in encoders])
            self._line = _stack_lines([line for e in encoders if (line := e.linear_state()) is not None])

    def encode(self, raw: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "replicates n hidden"]:
        """Hidden states, not normalised, of raw vectors that all are finite."""
        features = (raw - self._mean) / self._std
        np.clip(features, -CLIP, CLIP, out=features)
        with torch.inference_mode():
            return self._forward(torch.from_numpy(features)).numpy()

    def _forward(self, x: Tensor) -> Tensor:
        feature = (x if self._project is None else self._project(x)) + self._position
        cls = self._cls.expand(-1, x.shape[1], -1)
        for layer in self._layers[:-1]:
            cls, feature = layer(cls, feature)
        learnt = self._to_hidden(self._layers[-1].read_cls(cls, feature))
        return learnt if self._line is None else torch.cat([self._line(x), learnt], dim=2)


def _stack_lines(lines: Sequence[LinearMap]) -> StackedLinear | None:
    if not lines:
        return None
    return StackedLinear(
        torch.stack([line.weight for line in lines]), torch.stack([line.bias for line in lines])[:, None]
    )


class _Norm(NamedTuple):
    weight: Tensor  # [replicates, 1, width]
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, nn.functional.layer_norm(x, x.shape[-1:], eps=self.eps), self.weight)


def _norm(norms: Sequence[nn.LayerNorm]) -> _Norm:
    weights, biases = (torch.stack(parts)[:, None] for parts in zip(*((n.weight, n.bias) for n in norms), strict=True))
    return _Norm(weights, biases, norms[0].eps)


class _StackedLayer:
    """``TwoTokenLayer`` of all replicates; tokens are [replicates, n, width]."""

    def __init__(self, layers: Sequence[TwoTokenLayer]) -> None:
        self.heads = layers[0].heads
        width = layers[0].key.in_features
        self.query = stack_linear([layer.query for layer in layers])
        # The scale of the scores is part of the keys.
        scale = (self.heads / width) ** 0.5
        self.key = torch.stack([layer.key.weight * scale for layer in layers]).transpose(1, 2)
        self.value = stack_linear([layer.value for layer in layers])
        self.out_proj = stack_linear([layer.out_proj for layer in layers])
        self.linear1 = stack_linear([layer.linear1 for layer in layers])
        self.linear2 = stack_linear([layer.linear2 for layer in layers])
        self.norm1 = _norm([layer.norm1 for layer in layers])
        self.norm2 = _norm([layer.norm2 for layer in layers])

    def __call__(self, cls: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        tokens = torch.cat([cls, feature], dim=1)  # [replicates, 2n, width]
        rows = feature.shape[1]
        key = self._by_head(torch.bmm(cls - feature, self.key), 1)
        query = self._by_head(self.query(tokens), 2)
        values = self._by_head(self.value(tokens), 2)
        tokens = self._finish(tokens, self._mix(query, key, values))
        return tokens[:, :rows], tokens[:, rows:]

    def read_cls(self, cls: Tensor, feature: Tensor) -> Tensor:
        key = self._by_head(torch.bmm(cls - feature, self.key), 1)
        query = self._by_head(self.query(cls), 1)
        values = self._by_head(self.value(torch.cat([cls, feature], dim=1)), 2)
        return self._finish(cls, self._mix(query, key, values))

    def _by_head(self, tokens: Tensor, kinds: int) -> Tensor:
        """[replicates, kinds n, width] to [replicates, kinds, n, heads, head width]."""
        replicates, rows, width = tokens.shape
        return tokens.view(replicates, kinds, rows // kinds, self.heads, width // self.heads)

    def _mix(self, query: Tensor, key: Tensor, values: Tensor) -> Tensor:
        share = (query * key).sum(dim=-1, keepdim=True).sigmoid()  # of CLS; the feature has the rest
        mixed = torch.lerp(values[:, 1:], values[:, :1], share)
        return mixed.flatten(3).flatten(1, 2)

    def _finish(self, tokens: Tensor, mixed: Tensor) -> Tensor:
        tokens = self.norm1(tokens + self.out_proj(mixed))
        return self.norm2(tokens + self.linear2(self.linear1(tokens).relu()))
