"""Which rows a query never gets: itself and, where asked, its own speaker's."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

FIRST_GROUP = 64  # of the largest group that shares a code, how many hits the first search allows for
GROWTH = 4  # how many times as much is fetched, or visited, by the next search of what is not settled


def exclusion_codes(groups: Int[np.ndarray, " rows"], exclude: str) -> Int[np.ndarray, " rows"]:
    """One code per corpus row; a query never gets a row of its own code.

    Args:
        groups: the speaker's number, -1 where unnamed.
        exclude: ``speaker``: a named speaker's rows share a code; ``self``: every row has its own.

    Example:
        >>> exclusion_codes(np.array([0, 0, -1]), "speaker").tolist()  # the third row's speaker is not known
        [0, 0, 3]
    """
    if exclude not in ("speaker", "self"):
        raise ValueError(f"retrieval.exclude: expected one of speaker, self, got {exclude!r}")
    own = np.arange(len(groups)) + groups.max(initial=-1) + 1
    return np.where(groups >= 0, groups, own) if exclude == "speaker" else own


def excluded_counts(held: Int[np.ndarray, " keys"], asked: Int[np.ndarray, " q"]) -> tuple[Int[np.ndarray, " q"], int]:
    """How many rows of a database each query must not get, and how many share a code at the most.

    Args:
        held: codes of the database's rows. asked: of the queries.
    """
    codes, counts = np.unique(held, return_counts=True)
    if not len(codes):
        return np.zeros(len(asked), dtype=np.int64), 0
    place = np.minimum(np.searchsorted(codes, asked), len(codes) - 1)
    return np.where(codes[place] == asked, counts[place], 0), int(counts.max())
