"""The directions along which rows differ most: principal components of what is centred."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

EXACT = 512  # rows or columns up to which all directions are computed


def leading_directions(
    x: Float[np.ndarray, "n dim"], count: int
) -> tuple[Float[np.ndarray, " some"], Float[np.ndarray, "some dim"]]:
    """Singular values and right singular vectors, the largest first; at least ``count`` where there are so many.

    Args:
        x: rows, not centred here.
    """
    if min(x.shape) <= EXACT:
        _, sizes, directions = np.linalg.svd(x, full_matrices=False)
    else:
        from sklearn.utils.extmath import randomized_svd

        _, sizes, directions = randomized_svd(x, count, n_iter=4, random_state=0)
    return sizes, directions
