"""The best of all inner products: a blocked matrix product into memory that is used again, and a running top-k."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

QUERIES = 512  # multiplied at a time
KEYS = 16384  # multiplied at a time: block and scores fit a processor's cache
MOST_FLOATS = 8_000_000  # scores held at a time


class Best(NamedTuple):
    """scores float32 [q, k], best first, and positions int64 [q, k] among the keys."""

    scores: np.ndarray
    positions: np.ndarray


@torch.inference_mode()
def best_products(keys: Float[np.ndarray, "keys size"], queries: Float[np.ndarray, "q size"], k: int) -> Best:
    """The k largest inner products of every query with all keys; which of two equal ones comes first is open.

    Args:
        k: at most the number of keys.
    """
    held = torch.from_numpy(keys)
    best = Best(np.empty((len(queries), k), dtype=np.float32), np.empty((len(queries), k), dtype=np.int64))
    columns = min(max(KEYS, k), len(keys))
    rows = max(1, min(QUERIES, MOST_FLOATS // columns, len(queries)))
    memory = torch.empty(rows * columns)
    for start in range(0, len(queries), rows):
        asked = torch.from_numpy(queries[start : start + rows])
        scores, positions = _running_best(held, asked, k, columns, memory)
        best.scores[start : start + rows], best.positions[start : start + rows] = scores.numpy(), positions.numpy()
    return best


def _running_best(keys: Tensor, asked: Tensor, k: int, columns: int, memory: Tensor) -> tuple[Tensor, Tensor]:
    scores, positions = torch.empty(0), torch.empty(0)
    for first in range(0, len(keys), columns):
        block = keys[first : first + columns]
        out = memory[: len(asked) * len(block)].view(len(asked), len(block))
        products = torch.mm(asked, block.T, out=out)
        if first == 0:
            scores, positions = torch.topk(products, k)
            continue
        # Few products of a later block beat the k-th so far: picking those out costs less than sorting the block.
        query, column = torch.nonzero(products > scores[:, -1:], as_tuple=True)
        if not len(query):
            continue
        counts = torch.bincount(query, minlength=len(asked))
        place = k + torch.arange(len(query)) - (counts.cumsum(0) - counts)[query]
        width = k + int(counts.max())
        candidates = torch.full((len(asked), width), -torch.inf)
        where = torch.zeros((len(asked), width), dtype=torch.int64)
        candidates[:, :k], where[:, :k] = scores, positions
        candidates[query, place], where[query, place] = products[query, column], column + first
        scores, order = torch.topk(candidates, k)
        positions = where.gather(1, order)
    return scores, positions
