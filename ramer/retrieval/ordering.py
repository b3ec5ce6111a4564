"""How candidates are scored and put in order: on the processor, or on a GPU to the same rows and the same bits.

A score is a sum in double precision, brought to single precision. Another order of summation, as a GPU has it, moves
the sum by so little that rounding nearly always gives the same bits; the few pairs where it need not (a number as close
as that rounds otherwise) are summed again on the processor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ramer.retrieval.indexes import DatabaseIndex

if TYPE_CHECKING:
    from torch import Tensor

GATHERED_FLOATS = 262_144  # of keys at a time: 2 MB in double precision; 64 MB, out of the cache, take twice as long
GATHERED_FLOATS_ON_GPU = 16_777_216  # the same on a GPU: 128 MB in double precision
_UNIT = 2.0**-53  # half the distance of two numbers of double precision at one


class Hits(NamedTuple):
    """Neighbours, best first: rows int32 [q, width] (-1 none), scores float32 cosine [q, width] (NaN none)."""

    rows: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Asked:
    """What is searched for, and how what was fetched is scored.

    Attributes:
        unit: queries of length 1.
        excluded: codes of the keys, and of the queries, that never meet; None excludes nothing.
        exact: whether candidates are scored by their states, else by what the kernel said.
    """

    index: DatabaseIndex
    states: np.ndarray
    unit: np.ndarray
    excluded: tuple[np.ndarray, np.ndarray] | None
    norms: np.ndarray | None
    exact: bool


# From what is asked, positions of queries [q], scores and places that were fetched for them [q, n], how many of those
# that may be found are scored, and how many are wanted: the best, and the best fetched score of all that were not
# scored [q].
Scoring = Callable[[Asked, np.ndarray, np.ndarray, np.ndarray, int, int], tuple[Hits, np.ndarray]]


def score_here(
    asked: Asked, part: np.ndarray, kernel: np.ndarray, found: np.ndarray, kept: int, width: int
) -> tuple[Hits, np.ndarray]:
    """``Scoring`` on the processor."""
    allowed = found >= 0
    if asked.excluded is not None:
        allowed &= asked.excluded[0][np.maximum(found, 0)] != asked.excluded[1][part, None]
    scored = allowed & (np.cumsum(allowed, axis=1) <= kept)
    cosines = np.where(scored, kernel, np.float32(np.nan))
    if asked.exact:
        cosines[scored] = _cosines(asked, part[np.nonzero(scored)[0]], asked.index.rows[found[scored]])
    # By score, then row number; entries ascend, so their positions order as their rows do.
    order = np.lexsort((found, -cosines), axis=-1)[:, :width]
    line = np.arange(len(order))[:, None]
    best = _hits(asked.index.rows, found[line, order], cosines[line, order])
    return best, np.where(allowed & ~scored, kernel, -np.inf).max(axis=1)


def _hits(entries: np.ndarray, found: np.ndarray, scores: np.ndarray) -> Hits:
    return Hits(np.where(np.isnan(scores), -1, entries[np.maximum(found, 0)]).astype(np.int32), scores)


def _cosines(asked: Asked, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Cosine of each pair of a query's position and a row, summed in double precision: float64 [pairs]."""
    cosines = np.empty(len(query))
    size = max(1, GATHERED_FLOATS // asked.unit.shape[1])
    for part in (slice(start, start + size) for start in range(0, len(query), size)):
        keys = np.asarray(asked.states[rows[part]], dtype=np.float64)
        products = np.einsum("nh,nh->n", keys, asked.unit[query[part]], dtype=np.float64)
        lengths = np.sqrt(np.einsum("nh,nh->n", keys, keys)) if asked.norms is None else asked.norms[rows[part]]
        cosines[part] = products / lengths
    return cosines


class DeviceScoring:
    """``Scoring`` of one database on a device of torch, which gets a copy of its states.

    Args:
        index: the database. states: raw, by corpus row. device: ``cuda``, ``cuda:N``, or ``cpu``.
        tolerance: how far two sums of double precision may be apart, as a multiple of what they can be at most.
    """

    def __init__(self, index: DatabaseIndex, states: np.ndarray, device: str, tolerance: float = 1.0) -> None:
        import torch

        self._torch, self._device = torch, device
        held = torch.from_numpy(np.ascontiguousarray(states[index.rows], dtype=np.float32))
        self._keys = held.to(device)
        self._codes: tuple[tuple[np.ndarray, np.ndarray], tuple[Tensor, Tensor]] | None = None
        self._tolerance = tolerance * (4 * states.shape[1] + 8) * _UNIT

    def __call__(
        self, asked: Asked, part: np.ndarray, kernel: np.ndarray, found: np.ndarray, kept: int, width: int
    ) -> tuple[Hits, np.ndarray]:
        torch = self._torch
        places, said = self._there(found), self._there(kernel)
        allowed = places >= 0
        if asked.excluded is not None:
            of_keys, of_queries = self._codes_there(asked.excluded)
            allowed &= of_keys[places.clamp(min=0)] != of_queries[self._there(part)][:, None]
        scored = allowed & (allowed.cumsum(1) <= kept)
        cosines = torch.where(scored, said, torch.nan)
        if asked.exact:
            cosines[scored] = self._cosines(asked, part, places, scored)
        left = torch.where(allowed & ~scored, said, -torch.inf).amax(1)
        # Two stable sorts, as lexsort does; 0.0 makes one of the two zeros, which compare equal.
        by_place = places.argsort(dim=1, stable=True)
        by_score = (0.0 - cosines).gather(1, by_place).argsort(dim=1, stable=True)
        order = by_place.gather(1, by_score)[:, :width]
        near, scores = (values.gather(1, order).cpu().numpy() for values in (places, cosines))
        return _hits(asked.index.rows, near, scores), left.cpu().numpy()

    def _cosines(self, asked: Asked, part: np.ndarray, places: Tensor, scored: Tensor) -> Tensor:
        """float32 [pairs], the bits of the processor's."""
        torch = self._torch
        query, column = scored.nonzero(as_tuple=True)
        entry, unit = places[query, column], self._there(asked.unit[part])
        cosines = torch.empty(len(query), dtype=torch.float64, device=self._device)
        size = max(1, GATHERED_FLOATS_ON_GPU // max(1, unit.shape[1]))
        for some in (slice(start, start + size) for start in range(0, len(query), size)):
            keys = self._keys[entry[some]].double()
            cosines[some] = (keys * unit[query[some]].double()).sum(1) / keys.square().sum(1).sqrt()
        single = cosines.float()
        open_ = ((cosines - self._tolerance).float() != (cosines + self._tolerance).float()).nonzero()[:, 0]
        if len(open_):
            pairs = part[query[open_].cpu().numpy()], asked.index.rows[entry[open_].cpu().numpy()]
            single[open_] = self._there(_cosines(asked, *pairs).astype(np.float32))
        return single

    def _codes_there(self, excluded: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor]:
        """Codes on the device: they go there once in a search, which asks batch by batch."""
        if self._codes is None or self._codes[0] is not excluded:
            self._codes = excluded, (self._there(excluded[0]), self._there(excluded[1]))
        return self._codes[1]

    def _there(self, array: np.ndarray) -> Tensor:
        return self._torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
