"""Batched search that never returns a query itself or, where asked, a row of its own speaker.

Candidates come from FAISS, or for tens to hundreds of queries of a flat index from the product with its keys, and more
of them than are wanted. They are filtered by exclusion code, scored again in double precision (so that a score depends
neither on the batch nor on the kernel) and ordered by score, then row number. Whatever the over-fetch could not
settle, an excluded group larger than it or a tie across its edge, is fetched again with a larger width. An approximate
index that leaves a query fewer rows than it may have is searched again, and misses less every time, until it has them.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ramer.errors import RetrievalError
from ramer.retrieval.exclusion import FIRST_GROUP, GROWTH, excluded_counts
from ramer.retrieval.fetching import MATRIX_NUMBERS, Fetch, make_fetch, wider_fetches
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.ordering import Asked, Hits, Scoring, score_here
from ramer.retrieval.states import l2_normalise

NEW_CLIP = -1  # exclusion code of a query that is not in the corpus: it excludes nothing
BATCH = 1024  # queries searched at a time
MARGIN = 8  # fetched beyond the width, so that ties at its edge seldom need a second search
TIE = 1e-5  # single-precision scores of the kernel closer than this may be in another order
MOST_FETCHED = 4_000_000  # hits held at a time


def search(
    index: DatabaseIndex,
    states: Float[np.ndarray, "rows hidden"],
    queries: Float[np.ndarray, "q size"],
    width: int,
    *,
    codes: Int[np.ndarray, " rows"] | None = None,
    query_codes: Int[np.ndarray, " q"] | None = None,
    ids: Any = None,
    norms: Float[np.ndarray, " rows"] | None = None,
    rerank: bool = True,
    fetch: Fetch | None = None,
    scoring: Scoring = score_here,
) -> Hits:
    """The ``width`` best database rows of every query, by cosine; fewer only where there are no more that it may have.

    Args:
        index: the database.
        states: raw states of the encoder that made the keys, by corpus row, may be memory-mapped.
        queries: raw states.
        codes, query_codes: from ``exclusion_codes``; equal codes never meet. None excludes nothing.
        ids: names of the queries in messages.
        norms: lengths of the states (``row_norms``) where they are known: they need not be computed again.
        rerank: score an approximate index' candidates by their exact keys. Exact kinds always are.
        fetch: ``make_fetch(index)``, or that of ``Searches.of``, with its ``scoring``.
        scoring: of what was fetched; where it runs changes no bit.

    Raises:
        RetrievalError: a query is zero or not finite, or of another size than the keys.
    """
    if len(queries) and queries.shape[1] != index.about.dimension:
        raise RetrievalError(f"query: expected {index.about.dimension} numbers, got {queries.shape[1]}")
    hits = Hits(np.full((len(queries), width), -1, np.int32), np.full((len(queries), width), np.nan, np.float32))
    total = len(index.rows)
    if not total or not len(queries):
        return hits
    unit = l2_normalise(queries, refuse="query", ids=ids)
    largest, excluded, most = 0, None, np.full(len(queries), total)
    if codes is not None and query_codes is not None:
        excluded = codes[index.rows], query_codes
        hidden, largest = excluded_counts(*excluded)
        most -= hidden
    asked = Asked(index, states, unit, excluded, norms, rerank or index.exact)
    pending, wanted = np.arange(len(queries)), min(width + min(largest, FIRST_GROUP) + MARGIN, total)
    for fetching in chain([fetch or make_fetch(index)], wider_fetches(index)):
        # Each time from the beginning: how far another query had to go must not change what this one gets.
        _fill(hits, asked, pending, wanted, fetching, scoring)
        pending = pending[(hits.rows[pending] >= 0).sum(axis=1) < np.minimum(most[pending], width)]
        if not len(pending):
            break
    return hits


def _fill(hits: Hits, asked: Asked, pending: np.ndarray, wanted: int, fetch: Fetch, scoring: Scoring) -> None:
    """Fetch more and more until every pending query's list is full, or nothing is left that this way finds.

    Args:
        hits: of all queries, changed at those that are pending.
        wanted: hits to fetch at first.
    """
    index, width, total = asked.index, hits.rows.shape[1], len(asked.index.rows)
    kept = width + MARGIN if index.exact else total
    while True:
        unsettled = []
        batch = max(BATCH, MATRIX_NUMBERS // max(asked.unit.shape[1], 1))
        for part in _parts(pending, min(batch, max(1, MOST_FETCHED // wanted))):
            kernel, found = fetch(asked.unit[part], wanted)
            best, left = scoring(asked, part, kernel, found, kept, width)
            hits.rows[part, : best.rows.shape[1]], hits.scores[part, : best.rows.shape[1]] = best
            exhausted = ((wanted >= total) | (found < 0).any(axis=1)) & np.isneginf(left)
            # An approximate kernel's scores do not compare with cosines: there it is enough to have enough.
            edge = np.maximum(left, kernel[:, -1]) if index.exact else np.full(len(part), -np.inf)
            unsettled.append(part[~(exhausted | (edge < hits.scores[part, -1] - TIE))])
        pending = np.concatenate(unsettled)
        if not len(pending):
            return
        wanted, kept = min(wanted * GROWTH, total), total


def _parts(members: np.ndarray, size: int) -> list[np.ndarray]:
    return [members[start : start + size] for start in range(0, len(members), size)]
