"""Add rows to indexes that exist, without touching what they hold.

Rows are added at the end: the new ones have higher numbers than all before them. A flat index and its sidecar are then,
to the byte, what building them anew would give. An inverted-list index keeps the centroids (and codebooks) that it was
trained with, which new rows of another kind wear out: the recall that the sidecar states is measured anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
from jaxtyping import Float, Int

from ramer.errors import RetrievalError
from ramer.retrieval.index_kinds import add_keys
from ramer.retrieval.indexes import StoredIndex
from ramer.retrieval.recall import RecallSample


def append_keys(
    index: StoredIndex,
    states: Float[np.ndarray, "all hidden"],
    rows: Int[np.ndarray, " added"],
    ids: Sequence[str] | np.ndarray,
    *,
    ids_digest: str,
    seed: int = 0,
    rerank: bool = True,
) -> StoredIndex:
    """The index with more keys; the one given must not be used afterwards, its keys move into the new one.

    Args:
        index: opened by ``load_index(..., mapped=False)``.
        states: raw states by row number, of the rows that the index holds (to measure recall, by all but
            a query itself: nobody here knows the speakers) and of the new ones.
        rows: numbers of the new rows, ascending, all above those that the index holds.
        ids: names of the new rows [added].
        ids_digest: of all ids in row order, as it is with the new rows.
        seed: of the sample that recall is measured on, ``index.seed``.
        rerank: whether recall is that of candidates which are scored again, ``index.rerank``.

    Raises:
        RetrievalError: a row is not above those before it, its id is there already, or its state is zero or not finite.
    """
    _check_order(index, rows, ids)
    inner = index.faiss_index
    if not index.rows.size and index.exact and inner.d != states.shape[1]:
        inner = faiss.IndexFlatIP(states.shape[1])  # a modality that no row held before
    add_keys(inner, index.about.kind, states, rows, list(ids))
    named = index.named.grown(rows, map(str, ids))
    sample = None if index.exact else RecallSample.draw(states, named.rows, seed)
    changed = {
        "count": len(named),
        "dimension": states.shape[1],
        "ids_digest": ids_digest,
        "recall_at_5": sample.recall(inner, rerank) if sample else None,
    }
    return StoredIndex.of(inner, named, index.about.model_copy(update=changed))


def _check_order(index: StoredIndex, rows: np.ndarray, ids: Sequence[str] | np.ndarray) -> None:
    before = int(index.rows[-1]) if len(index.rows) else -1
    steps = np.diff(rows, prepend=before)
    if len(rows) != len(ids):
        raise RetrievalError(f"new rows: expected an id for each of {len(rows)}, got {len(ids)}")
    if (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0])
        raise RetrievalError(
            f"new rows: row {int(rows[at])} ({ids[at]!r}): expected ascending numbers above {before}, "
            "the last row of the index"
        )
    again = index.named.held(map(str, ids))
    if again:
        raise RetrievalError(f"new rows: id {again[0]!r} is in the index already ({len(again)} such)")
