"""Neighbour lists of a batch in every modality's space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int

from ramer.modalities import MODALITIES
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import NEW_CLIP, search
from ramer.retrieval.structures import Database, Lists, Queries


def search_lists(
    indexes: Mapping[str, DatabaseIndex],
    database: Database,
    queries: Queries,
    width: int,
    *,
    asked: Bool[np.ndarray, " n"] | None = None,
    codes: Int[np.ndarray, " rows"] | None = None,
    rerank: bool = True,
) -> Lists:
    """The ``width`` nearest database rows of every query in the space of each modality that it holds.

    Args:
        indexes: per modality, of the database's states; one that is not indexed has empty lists.
        queries: states, and their corpus rows if they may be in the database.
        asked: which queries are searched, all if None; the others' lists are empty.
        codes: from ``exclusion_codes``, by database row: a query never gets one of its own code. None excludes none.
        rerank: score an approximate index' candidates by their exact keys.

    Raises:
        RetrievalError: a query is zero or not finite.
    """
    lists, numbers = Lists.empty(len(queries.available), width), queries.numbers
    own = None if codes is None else np.where(numbers >= 0, codes[np.maximum(numbers, 0)], NEW_CLIP)
    wanted = queries.available if asked is None else queries.available & asked[:, None]
    for i, m in enumerate(MODALITIES):
        part = np.flatnonzero(wanted[:, i])
        if m in indexes and len(part):
            lists.rows[m][part], lists.scores[m][part] = search(
                indexes[m],
                database.states[m],
                queries.states[m][part],
                width,
                codes=codes,
                query_codes=None if own is None else own[part],
                ids=None if codes is None else numbers[part],
                norms=database.norms[m],
                rerank=rerank,
            )
    return lists
