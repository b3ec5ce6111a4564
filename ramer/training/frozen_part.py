"""What a residual encoder stands on: the regression, and where a vector lies besides.

A head that is trained on a few hundred labels learns most from these two: the logits carry what the labels taught, the
principal components what they did not.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ramer.nn.encoder import FrozenPart, LinearMap
from ramer.nn.residual import line_width
from ramer.training.directions import leading_directions
from ramer.training.regression import Regression

WHITENING = 0.5  # power of a component's deviation that it is divided by: 0 leaves it, 1 makes all alike
ROUNDING = 1e-3  # share of the largest component's deviation below which one is none


def frozen_part(x: Float[np.ndarray, "n dim"], regression: Regression, width: int) -> FrozenPart:
    """The regression, and a state of its centred logits and half-whitened principal components.

    Both parts of the state have mean square length 1 over the rows, so that cosines weigh them alike. With more classes
    than half of the width the logits' principal directions take their place; with fewer components than room the last
    entries are zero.

    Args:
        x: standardised vectors of the training rows.
        regression: fitted on them.
        width: of the frozen entries of a state.
    """
    classes = regression.weight.shape[1]
    said = line_width(classes, width)
    to_state = np.eye(classes) - 1 / classes
    logits = regression.logits(x)
    if said < classes:
        to_state = to_state @ np.linalg.svd(logits @ to_state, full_matrices=False)[2][:said].T
    mean = x.mean(axis=0, dtype=np.float64)
    weight = _components(x - mean.astype(x.dtype), width - said)
    length = _length(x @ weight - mean @ weight)
    return FrozenPart(
        as_map(regression),
        _tensor(to_state / _length(logits @ to_state)),
        LinearMap(_tensor(weight / length), _tensor(-mean @ weight / length)),
    )


def as_map(regression: Regression) -> LinearMap:
    """The regression as tensors."""
    return LinearMap(_tensor(regression.weight), _tensor(regression.bias))


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _length(rows: np.ndarray) -> float:
    """Root of the mean square length of rows; 1 where they are nothing."""
    length = float(np.sqrt((rows**2).sum(axis=1).mean()))
    return length if length > ROUNDING else 1.0


def _components(centred: np.ndarray, count: int) -> np.ndarray:
    """[dim, count], zeros where there are fewer."""
    out = np.zeros((centred.shape[1], count))
    if count < 1:
        return out
    sizes, directions = leading_directions(centred, count)
    kept = int((sizes[:count] > ROUNDING * sizes[0]).sum()) if sizes[0] > 0 else 0
    deviations = sizes[:kept] / np.sqrt(len(centred))
    out[:, :kept] = directions[:kept].T / deviations**WHITENING
    return out
