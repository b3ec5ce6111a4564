"""Neighbours of a few clips in all replicates at once: what ``ramer.retrieval.search`` finds, in a third of the calls.

For a single clip the arithmetic beside FAISS is next to nothing, and the calls are what takes the time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ramer.retrieval.fetching import FEW, one_faiss_thread
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.ordering import Hits
from ramer.retrieval.search import MARGIN, TIE, search
from ramer.retrieval.states import l2_normalise


class StackedIndexes:
    """One modality's indexes of all replicates over one table of states.

    Args:
        indexes: per replicate; their rows are positions in the table.
        states: raw, float32 [rows, hidden] per replicate. norms: their lengths, float64 [rows] per replicate.
        width: neighbours wanted.
        rerank: score an approximate index' candidates by their exact keys.
    """

    def __init__(
        self,
        indexes: Sequence[DatabaseIndex],
        states: Sequence[np.ndarray],
        norms: Sequence[np.ndarray],
        width: int,
        rerank: bool,
    ) -> None:
        self._indexes = list(indexes)
        self._states = list(states)
        self._norms = list(norms)
        self._width = width
        self._rerank = rerank
        self._wanted = width + MARGIN
        self._quick = all(index.exact and len(index.rows) >= self._wanted for index in indexes)

    def search(self, queries: np.ndarray) -> Hits:
        """The ``width`` best rows of n raw states per replicate, [replicates, n, hidden].

        Returns:
            rows int32 and scores float32 [replicates, n, width], as ``search`` gives them replicate by replicate.

        Raises:
            RetrievalError: a query is zero or not finite.
        """
        found = self._few(queries) if self._quick and queries.shape[1] <= FEW else None
        if found is not None:
            return found
        each = [
            search(index, states, asked, self._width, norms=norms, rerank=self._rerank)
            for index, states, norms, asked in zip(self._indexes, self._states, self._norms, queries, strict=True)
        ]
        return Hits(np.stack([hits.rows for hits in each]), np.stack([hits.scores for hits in each]))

    def _few(self, queries: np.ndarray) -> Hits | None:
        """None if a tie across the edge of what was fetched leaves the answer open."""
        replicates, n, hidden = queries.shape
        unit = l2_normalise(queries.reshape(replicates * n, hidden), refuse="query").reshape(queries.shape)
        shape = (replicates, n, self._wanted)
        rows, edge = np.empty(shape, dtype=np.int64), np.empty((replicates, n, 1), dtype=np.float32)
        cosines = np.empty(shape, dtype=np.float32)
        with one_faiss_thread():
            nearest = [index.faiss_index.search(unit[r], self._wanted) for r, index in enumerate(self._indexes)]
        for r, (index, (kernel, places)) in enumerate(zip(self._indexes, nearest, strict=True)):
            rows[r], edge[r] = index.rows[places], kernel[:, -1:]
            keys = self._states[r][rows[r]].astype(np.float64)  # double precision, as everywhere: no kernel's rounding
            products = np.matmul(keys, unit[r, :, :, None].astype(np.float64))[..., 0]
            cosines[r] = products / self._norms[r][rows[r]]
        order = np.lexsort((rows, -cosines), axis=-1)[..., : self._width]
        best = np.take_along_axis(cosines, order, axis=-1)
        if (edge >= best[..., -1:] - TIE).any():
            return None
        return Hits(np.take_along_axis(rows, order, axis=-1).astype(np.int32), best)
