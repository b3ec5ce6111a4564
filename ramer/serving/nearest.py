"""Neighbours of a few clips in all replicates at once: what ``ramer.retrieval.search`` finds, in a third of the calls.

For a single clip the arithmetic beside FAISS is next to nothing, and the calls are what takes the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ramer.methods import Method
from ramer.methods.ramer import Ramer
from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import Database, Lists, Queries, Selected, find
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import FEW, MARGIN, TIE, Hits, one_faiss_thread, search
from ramer.retrieval.states import l2_normalise
from ramer.serving.stacked_encoders import apply_perceptrons, stack_perceptrons
from ramer.training.batches import Arrays, Batch
from ramer.training.temperature import pattern_codes, scale


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


def stack_indexes(
    indexes: Sequence[Mapping[str, DatabaseIndex]], databases: Sequence[Database], settings: Mapping[str, Any]
) -> dict[str, StackedIndexes]:
    """One stack per modality that is indexed; none where nothing is retrieved.

    Args:
        indexes, databases: of all replicates. settings: width and rerank.
    """
    return {
        m: StackedIndexes(
            [found[m] for found in indexes],
            [database.states[m] for database in databases],
            [database.norms[m] for database in databases],
            settings["width"],
            settings["rerank"],
        )
        for m in (indexes[0] if indexes else {})
    }


class StackedRamer:
    """``Ramer.find`` and ``predict_proba`` for a few clips in all replicates at once: their databases are joined.

    Args:
        methods: of all replicates; ``fits`` must hold. databases: of all replicates, over the same rows.
        states: of all replicates, [replicates, rows, hidden] per modality; what is memory-mapped stays on disk.
    """

    def __init__(
        self, methods: Sequence[Method], databases: Sequence[Database], states: Mapping[str, np.ndarray]
    ) -> None:
        members = [method for method in methods if isinstance(method, Ramer)]
        self._first, self._rules = members[0], members[0].rules
        self._rows = len(databases[0].available)
        stacked = {m: np.asarray(table).reshape(-1, table.shape[2]) for m, table in states.items()}
        available, labels = (np.concatenate([getattr(d, name) for d in databases]) for name in ("available", "labels"))
        self._database = Database(stacked, available, labels)
        norms = {m: np.concatenate([database.norms[m] for database in databases]) for m in MODALITIES}
        self._database.__dict__["norms"] = norms  # where a cached property keeps them: nothing is computed twice
        self._taus = np.array([method.tau_ for method in members])
        self._temperatures = np.stack([method.temperatures_ for method in members])
        self._priors = np.stack([method.prior_ for method in members]).astype(np.float64)
        self._heads = None
        if not any(method.attends for method in members):
            with torch.inference_mode():
                self._heads = stack_perceptrons([method.head_.layers for method in members])

    @staticmethod
    def fits(methods: Sequence[Method], databases: Sequence[Database]) -> bool:
        """Whether all replicates find by the same plain rules: no learned order, no calibration, nothing shuffled, no
        encoders of their own."""
        plain = [m for m in methods if type(m) is Ramer and m.scorer_ is None and m.encoders_ is None]
        if not databases or len(plain) != len(methods) or any(d.shuffle is not None for d in databases):
            return False
        same = {replace(m.rules, tau=1.0) for m in plain}
        return len(same) == 1 and next(iter(same)).bimodal != "calibrated"

    def find(self, states: Arrays, available: np.ndarray, lists: Sequence[Lists]) -> Selected:
        """The neighbours that stand in for what n clips lack, replicate after replicate; rows of the joint database.

        Args:
            states: raw, NaN where missing, [replicates, n, hidden] per modality. available: bool [n, 3].
            lists: per replicate.
        """
        offsets = self._offsets(len(available), len(lists))
        rows = {m: np.concatenate([found.rows[m] for found in lists]).astype(np.int64) for m in MODALITIES}
        rows = {m: np.where(r < 0, -1, r + offsets) for m, r in rows.items()}
        scores = {m: np.concatenate([found.scores[m] for found in lists]) for m in MODALITIES}
        queries = Queries(_flat(states), np.tile(available, (len(lists), 1)))
        return find(Lists(rows, scores), queries, self._database, self._rules)

    def split(self, selected: Selected, n: int) -> list[Selected]:
        """Per replicate what ``find`` found, in rows of its own database."""
        replicates = len(self._taus)
        own = np.where(selected.rows < 0, -1, selected.rows - self._offsets(n, replicates)[:, None])
        return [Selected(own[r * n : (r + 1) * n], selected.scores[r * n : (r + 1) * n]) for r in range(replicates)]

    def predict_proba(self, states: Arrays, available: np.ndarray, selected: Selected) -> np.ndarray | None:
        """Every replicate's probabilities, float64 [replicates, n, classes]; None where their heads do not stack."""
        if self._heads is None:
            return None
        replicates, n = len(self._taus), len(available)
        # Each replicate's temperature of the weights is its own; the first one's, which all share here, is undone.
        share = np.repeat(self._rules.tau / self._taus, n)[:, None, None]
        tiled, nowhere = np.tile(available, (replicates, 1)), np.full(replicates * n, -1, dtype=np.int64)
        found = Selected(selected.rows, selected.scores * share)
        fused = self._first.fused(Batch(nowhere, tiled, states=_flat(states), database=self._database, found=found))
        with torch.inference_mode():
            scores = apply_perceptrons(self._heads, torch.from_numpy(fused).view(replicates, n, -1))
            proba = scores.double().softmax(dim=2).numpy()
        temperatures = self._temperatures[:, pattern_codes(available)]
        calibrated = scale(proba.reshape(replicates * n, -1), temperatures.reshape(-1)).reshape(proba.shape)
        some = np.asarray(available.any(axis=1))
        return np.where(some[:, None], calibrated, self._priors[:, None])

    def _offsets(self, n: int, replicates: int) -> np.ndarray:
        return np.repeat(np.arange(replicates) * self._rows, n)[:, None]


def _flat(states: Arrays) -> Arrays:
    """[replicates, n, hidden] to [replicates n, hidden]."""
    return {m: s.reshape(-1, s.shape[2]) for m, s in states.items()}
