"""How much of the exact answer an approximate index finds, on a sample of its own keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float, Int

from ramer.retrieval.states import l2_normalise
from ramer.seeding import generator

QUERIES = 256  # keys in the sample
K = 5
FETCHED_MORE = 8  # where candidates are scored again by exact keys, at least so many more are fetched than are wanted
WANTED = 0.97
LEAST_GAIN = 0.005  # twice as many lists that find no more than this are not visited
BLOCK = 16384  # keys compared at a time


@dataclass(frozen=True)
class RecallSample:
    """Unit keys [q, hidden], their positions in the index [q] and those of their exact five nearest others [q, 5].

    Fewer than five are filled up with -1.
    """

    queries: np.ndarray
    own: np.ndarray
    best: np.ndarray

    @classmethod
    def draw(
        cls, states: Float[np.ndarray, "all hidden"], rows: Int[np.ndarray, " keys"], seed: int
    ) -> RecallSample | None:
        """Search a sample of the keys exactly, block by block; None where there are no two keys.

        Args:
            states: raw states by row number, may be memory-mapped.
            rows: of the keys, in the order of the index.
        """
        if len(rows) < 2:
            return None
        own = np.sort(generator(seed, "index", "recall").choice(len(rows), min(QUERIES, len(rows)), replace=False))
        queries = l2_normalise(states[rows[own]])
        exact = faiss.IndexFlatIP(states.shape[1])
        best_scores = np.full((len(queries), K + 1), -np.inf, dtype=np.float32)
        best = np.full((len(queries), K + 1), -1, dtype=np.int64)
        for start in range(0, len(rows), BLOCK):
            exact.reset()
            exact.add(l2_normalise(states[rows[start : start + BLOCK]]))
            scores, found = exact.search(queries, K + 1)
            scores = np.concatenate([best_scores, np.where(found < 0, -np.inf, scores)], axis=1)
            found = np.concatenate([best, np.where(found < 0, -1, found + start)], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, : K + 1]
            best_scores, best = np.take_along_axis(scores, order, axis=1), np.take_along_axis(found, order, axis=1)
        return cls(queries, own, _others(best, own, K))

    def recall(self, index: Any, rerank: bool, nprobe: int | None = None) -> float:
        """Share of the exact five nearest that an index finds.

        Args:
            index: holds the keys in the order of ``rows``.
            rerank: its candidates will be scored again, so that it is enough to be one of them.
            nprobe: inverted lists to visit; None: what the index is set to.
        """
        wanted = K + (FETCHED_MORE if rerank else 0)
        parameters: Any = faiss  # the stubs lack the class' arguments
        given = {} if nprobe is None else {"params": parameters.SearchParametersIVF(nprobe=nprobe)}
        near = _others(index.search(self.queries, wanted + 1, **given)[1], self.own, wanted)
        hits = (near[:, :, None] == self.best[:, None, :]) & (self.best[:, None, :] >= 0)
        return float(hits.sum() / max((self.best >= 0).sum(), 1))

    def fewest_lists(self, index: Any, nlist: int, rerank: bool) -> int:
        """The smallest power of two of visited lists (at most all) that reaches ``WANTED``, or gains nothing more."""
        nprobe, reached = 1, self.recall(index, rerank, 1)
        while reached < WANTED and nprobe < nlist:
            more = min(2 * nprobe, nlist)
            better = self.recall(index, rerank, more)
            # A first list or two may hold nothing: only then is a step without gain not the end.
            if better - reached < LEAST_GAIN and reached > 0.5:
                break
            nprobe, reached = more, better
        return nprobe


def _others(found: np.ndarray, own: np.ndarray, wanted: int) -> np.ndarray:
    """The first ``wanted`` of every line without the query itself; -1 for none."""
    order = np.argsort(found == own[:, None], axis=1, kind="stable")[:, :wanted]
    others = np.take_along_axis(found, order, axis=1)
    return np.where(others == own[:, None], -1, others)
