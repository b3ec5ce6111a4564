"""Random states with their true neighbour lists, small enough for a plain loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ramer.modalities import MODALITIES
from ramer.retrieval.structures import Database, Lists, Queries

HIDDEN = {"audio": 4, "video": 3, "text": 5}


class Case(NamedTuple):
    lists: Lists
    queries: Queries
    database: Database


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def make_case(seed: int, n: int = 14, rows: int = 25, width: int = 9, missing: float = 0.3) -> Case:
    """Random states; lists are the true ones, some cut short. Only rows below ``rows - 5`` are in the database."""
    rng = np.random.default_rng(seed)
    held = rng.random((rows, 3)) > missing
    states, lists, scores, asked = {}, {}, {}, {}
    available = rng.random((n, 3)) > 0.5
    for i, m in enumerate(MODALITIES):
        states[m] = (rng.standard_normal((rows, HIDDEN[m])) * rng.uniform(0.2, 5, (rows, 1))).astype(np.float32)
        states[m][~held[:, i]] = np.nan
        asked[m] = (rng.standard_normal((n, HIDDEN[m])) * rng.uniform(0.2, 5, (n, 1))).astype(np.float32)
        asked[m][~available[:, i]] = np.nan
        lists[m] = np.full((n, width), -1, dtype=np.int32)
        scores[m] = np.full((n, width), np.nan, dtype=np.float32)
        for q in np.flatnonzero(available[:, i]):
            holding = [r for r in range(rows - 5) if held[r, i]]
            best = sorted((-cosine(asked[m][q], states[m][r]), r) for r in holding)[: rng.integers(0, width + 1)]
            for place, (score, row) in enumerate(best):
                lists[m][q, place], scores[m][q, place] = row, -score
    held[rows - 5 :] = False
    database = Database(states, held, rng.integers(0, 3, rows))
    return Case(Lists(lists, scores), Queries(asked, available), database)
