"""How much of the exact answer an approximate index finds, on a sample of its own keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float, Int

from ramer.retrieval.exclusion import FIRST_GROUP, GROWTH, excluded_counts
from ramer.retrieval.states import l2_normalise
from ramer.seeding import generator

QUERIES = 256  # keys in the sample
K = 5
FETCHED_MORE = 8  # where candidates are scored again by exact keys, at least so many more are fetched than are wanted
WANTED = 0.97
LEAST_GAIN = 0.005  # twice as many lists that find no more than this are not visited
BLOCK = 16384  # keys compared at a time
MOST_FETCHED = 4_000_000  # hits held at a time


@dataclass(frozen=True)
class RecallSample:
    """A sample of the keys as queries, and what an exact search finds for them.

    Attributes:
        queries: unit keys [q, hidden].
        own: their exclusion codes [q], which they share with the keys that they must not find.
        codes: of all keys, in the order of the index.
        best: positions of the exact five nearest that they may find [q, 5], filled up with -1.
        hidden: how many keys each of them must not find [q].
    """

    queries: np.ndarray
    own: np.ndarray
    codes: np.ndarray
    best: np.ndarray
    hidden: np.ndarray

    @classmethod
    def draw(
        cls,
        states: Float[np.ndarray, "all hidden"],
        rows: Int[np.ndarray, " keys"],
        seed: int,
        codes: Int[np.ndarray, " all"] | None = None,
    ) -> RecallSample | None:
        """Search a sample of the keys exactly, block by block; None where none of it may find a key.

        Args:
            states: raw states by row number, may be memory-mapped.
            rows: of the keys, in the order of the index.
            codes: from ``exclusion_codes``, by row number; None: a key misses nothing but itself.
        """
        if len(rows) < 2:
            return None
        chosen = np.sort(generator(seed, "index", "recall").choice(len(rows), min(QUERIES, len(rows)), replace=False))
        of_keys = np.arange(len(rows)) if codes is None else codes[rows]
        queries, own = l2_normalise(states[rows[chosen]]), of_keys[chosen]
        best_scores = np.full((len(queries), K), -np.inf, dtype=np.float32)
        best = np.full((len(queries), K), -1, dtype=np.int64)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            scores = queries @ l2_normalise(states[rows[block]]).T
            scores[own[:, None] == of_keys[block]] = -np.inf
            better = np.flatnonzero((scores > best_scores[:, -1:]).any(axis=1))  # few, once many keys have been seen
            near = np.argpartition(-scores[better], min(K, scores.shape[1]) - 1, axis=1)[:, :K]
            near_scores = np.take_along_axis(scores[better], near, axis=1)
            found = np.concatenate([best[better], np.where(np.isneginf(near_scores), -1, near + start)], axis=1)
            near_scores = np.concatenate([best_scores[better], near_scores], axis=1)
            order = np.argsort(-near_scores, axis=1, kind="stable")[:, :K]
            best_scores[better] = np.take_along_axis(near_scores, order, axis=1)
            best[better] = np.take_along_axis(found, order, axis=1)
        return cls(queries, own, of_keys, best, excluded_counts(of_keys, own)[0]) if (best >= 0).any() else None

    def recall(self, index: Any, rerank: bool, nprobe: int | None = None) -> float:
        """Share of the exact five nearest that an index finds, of those that a query may find.

        Args:
            index: holds the keys in the order of ``rows``.
            rerank: its candidates will be scored again, so that it is enough to be one of them.
            nprobe: inverted lists to visit; None: what the index is set to.
        """
        near = self._near(index, K + (FETCHED_MORE if rerank else 0), nprobe)
        hits = (near[:, :, None] == self.best[:, None, :]) & (self.best[:, None, :] >= 0)
        return int(hits.sum()) / int((self.best >= 0).sum())

    def _near(self, index: Any, wanted: int, nprobe: int | None) -> np.ndarray:
        """The first that an index finds for each query and that it may find: positions [q, wanted], -1 for none."""
        total, graph = len(self.codes), hasattr(index, "hnsw")
        near = np.full((len(self.queries), wanted), -1, dtype=np.int64)
        pending, hidden = np.arange(len(self.queries)), int(self.hidden.max())
        # A graph looks as far as so many are fetched: as a search does that begins with few, and goes on where it must.
        fetched = min(wanted + (min(hidden, FIRST_GROUP) if graph else hidden), total)
        while len(pending):
            given, size = _parameters(index, fetched, nprobe), max(1, MOST_FETCHED // fetched)
            for part in (pending[start : start + size] for start in range(0, len(pending), size)):
                found = index.search(self.queries[part], fetched, **given)[1]
                near[part] = _allowed(found, (found >= 0) & (self.codes[found] != self.own[part, None]), wanted)
            short = (near[pending] >= 0).sum(axis=1) < np.minimum(total - self.hidden[pending], K)
            pending = pending[short] if graph and fetched < total else pending[:0]
            fetched = min(fetched * GROWTH, total)
        return near

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


def _parameters(index: Any, fetched: int, nprobe: int | None) -> dict[str, Any]:
    """What a search is given besides the queries; nothing where the index' own settings hold."""
    parameters: Any = faiss  # the stubs lack the classes' arguments
    if hasattr(index, "hnsw"):
        return {"params": parameters.SearchParametersHNSW(efSearch=max(index.hnsw.efSearch, fetched))}
    return {} if nprobe is None else {"params": parameters.SearchParametersIVF(nprobe=nprobe)}


def _allowed(found: np.ndarray, allowed: np.ndarray, wanted: int) -> np.ndarray:
    """The first ``wanted`` of every line that are allowed, filled up with -1."""
    order = np.argsort(~allowed, axis=1, kind="stable")[:, :wanted]
    kept = np.where(np.take_along_axis(allowed, order, axis=1), np.take_along_axis(found, order, axis=1), -1)
    return np.pad(kept, ((0, 0), (0, wanted - kept.shape[1])), constant_values=-1)
