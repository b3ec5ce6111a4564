"""The fusion classifier: concatenated modality states and availability bits to class scores."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn


class FusionClassifier(nn.Module):
    """An MLP over [h_a, h_v, h_t, mask bits] (RAMER's fusion classifier, layers 256 and 128 by default).

    Args:
        width: length of the concatenated input.
        hidden: widths of the hidden layers.
        classes: number of classes.
        dropout: after every hidden layer.
    """

    def __init__(self, width: int, hidden: Sequence[int], classes: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, inputs: Float[Tensor, "*n width"]) -> Float[Tensor, "*n classes"]:
        return self.layers(inputs)
