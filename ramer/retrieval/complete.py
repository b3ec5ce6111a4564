"""The nearest rows that hold every modality, whatever the query lacks."""

from __future__ import annotations

import numpy as np

from ramer.modalities import MODALITIES
from ramer.retrieval.candidates import pair_scores
from ramer.retrieval.structures import Candidates, Database, Lists, Queries


def complete_rows(lists: Lists, queries: Queries, database: Database, k: int) -> Candidates:
    """The k best rows of a query's lists that hold every modality of the database, best first.

    A row's score is its mean cosine over the modalities that the query holds. Rows of all available modalities' lists
    count, also for a query that lacks nothing.

    Args:
        lists: of the available modalities.
    """
    present = database.available.any(axis=0)
    rows = np.concatenate([lists.rows[m] for m in MODALITIES], axis=1).astype(np.int64)
    rows = np.where(database.available[np.maximum(rows, 0)][..., present].all(axis=-1), rows, -1)
    rows = -np.sort(-rows, axis=1)  # equal rows side by side, those for none last
    rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = -1
    total, held = np.zeros(rows.shape), queries.available & present
    for i, m in enumerate(MODALITIES):
        asking = np.flatnonzero(held[:, i])
        if len(asking):
            total[asking] += pair_scores(queries.states[m][asking], rows[asking], database, m)
    scores = np.where(rows >= 0, total / np.maximum(held.sum(axis=1, keepdims=True), 1), np.nan)
    order = np.lexsort((rows, -scores), axis=-1)[:, :k]
    short = max(0, k - rows.shape[1])
    return Candidates(
        np.pad(np.take_along_axis(rows, order, axis=1), ((0, 0), (0, short)), constant_values=-1),
        np.pad(np.take_along_axis(scores, order, axis=1), ((0, 0), (0, short)), constant_values=np.nan),
    )
