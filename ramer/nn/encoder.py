"""The unimodal encoder: one modality's utterance vector to its hidden state and emotion logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.errors import ConfigError
from ramer.nn.transformer import TwoTokenLayer

TOKEN_STD = 0.02  # of the initial CLS token and position embeddings


class Encoded(NamedTuple):
    """What comes out of an encoder.

    Attributes:
        hidden: the hidden state h [n, hidden_dim], not normalised.
        logits: [n, classes].
    """

    hidden: Float[Tensor, "n hidden"]
    logits: Float[Tensor, "n classes"]


class LinearMap(NamedTuple):
    """x @ weight + bias.

    Attributes:
        weight: [in, out].
        bias: [out].
    """

    weight: Float[Tensor, "in out"]
    bias: Float[Tensor, " out"]


class FrozenPart(NamedTuple):
    """What a residual encoder stands on.

    Attributes:
        line: from an input to logits.
        line_to_state: [classes, width], from logits to the first entries of the state.
        components: from an input to the next entries of the state.
    """

    line: LinearMap
    line_to_state: Float[Tensor, "classes width"]
    components: LinearMap


class UnimodalEncoder(nn.Module):
    """Transformer encoder over [CLS, feature], a linear map to the hidden state, and the modality's own classifier.

    After phase one of RAMER (Fan et al., arXiv 2410.02804), with CLS and positions that train.

    Args:
        input_dim: of a modality's utterance vector.
        classes: number of emotions.
        hidden_dim: of the hidden state h.
        model_dim: width of the transformer; None keeps the input's, a number projects to it first.
        layers, heads, ff_dim, dropout: as in ``nn.TransformerEncoderLayer``.
        classifier_dims: hidden widths of the classifier.
        input_dropout: share of the input's features that are dropped in training.

    Attributes:
        linear_width: how many of the state's first entries are a frozen linear map of the input; none here.

    Raises:
        ConfigError: heads do not divide the width.

    Example:
        >>> encoder = UnimodalEncoder(
        ...     16, 6, hidden_dim=8, model_dim=12, layers=1, heads=2, ff_dim=24, dropout=0.0, classifier_dims=[8]
        ... )
        >>> encoded = encoder(torch.zeros(4, 16))
        >>> encoded.hidden.shape, encoded.logits.shape
        (torch.Size([4, 8]), torch.Size([4, 6]))
    """

    def __init__(
        self,
        input_dim: int,
        classes: int,
        *,
        hidden_dim: int,
        model_dim: int | None,
        layers: int,
        heads: int,
        ff_dim: int,
        dropout: float,
        classifier_dims: Sequence[int],
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = model_dim or input_dim
        if width % heads:
            origin = "the input's width (model_dim is null)" if model_dim is None else "model_dim"
            raise ConfigError(f"heads: expected a divisor of {width}, {origin}, got {heads}")
        self.input_dim = input_dim
        self.linear_width = 0
        self.input_dropout = nn.Dropout(input_dropout)
        self.project = nn.Identity() if model_dim is None else nn.Linear(input_dim, model_dim)
        self.cls = nn.Parameter(torch.randn(1, width) * TOKEN_STD)
        self.position = nn.Parameter(torch.randn(2, width) * TOKEN_STD)
        self.body = nn.ModuleList(TwoTokenLayer(width, heads, ff_dim, dropout) for _ in range(layers - 1))
        self.last = TwoTokenLayer(width, heads, ff_dim, dropout)
        self.to_hidden = nn.Linear(width, hidden_dim)
        self.classifier = _classifier(hidden_dim, classifier_dims, classes, dropout)

    def forward(self, x: Float[Tensor, "n dim"]) -> Encoded:
        """Encode standardised utterance vectors.

        Args:
            x: float [n, input_dim], finite.
        """
        hidden = self.transform(x)
        return Encoded(hidden, self.classifier(hidden))

    def transform(self, x: Float[Tensor, "n dim"]) -> Float[Tensor, "n learnt"]:
        """What the transformer makes of the vectors: the state, or the part of it that is learnt."""
        if x.ndim != 2 or x.shape[1] != self.input_dim:
            raise ValueError(f"x: expected shape [n, {self.input_dim}], got {list(x.shape)}")
        feature = self.project(self.input_dropout(x)) + self.position[1]
        cls = self.cls + self.position[0]
        for layer in self.body:
            cls, feature = layer(cls, feature)
        hidden: Tensor = self.to_hidden(self.last.read_cls(cls, feature))
        return hidden

    @property
    def frozen(self) -> FrozenPart | None:
        """What the encoder stands on; None where all of it is learnt."""
        return None

    def linear_state(self) -> LinearMap | None:
        """The frozen map from an input to the state's first ``linear_width`` entries; None where there are none."""
        return None


def _classifier(input_dim: int, dims: Sequence[int], classes: int, dropout: float) -> nn.Sequential:
    parts: list[nn.Module] = []
    for width in dims:
        parts += [nn.Linear(input_dim, width), nn.ReLU(), nn.Dropout(dropout)]
        input_dim = width
    return nn.Sequential(*parts, nn.Linear(input_dim, classes))
