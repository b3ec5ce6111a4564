"""The fastest way to candidates on the processor: FAISS, or the product with a flat index' keys."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import faiss
import numpy as np

from ramer.retrieval.exclusion import GROWTH
from ramer.retrieval.indexes import DatabaseIndex

# Measured with FAISS 1.15: below MANY queries nothing beats it; from so many numbers on it multiplies matrices, at the
# speed of the product alone; in between it goes query by query, and our product is up to five times as fast.
MANY = 32
MATRIX_NUMBERS = 131_072
FEW = 8  # queries up to which calls, and threads that wait for each other, cost more than arithmetic
Fetch = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def make_fetch(index: DatabaseIndex) -> Fetch:
    """The fastest way to an index' k best keys: unit vectors [q, hidden] and k to scores and places [q, k]."""
    inner, settings = index.faiss_index, index.about.settings
    if "ef" in settings:
        return _graph(inner, settings["ef"])
    if "nprobe" in settings:
        return _lists(inner, settings["nprobe"])
    if index.exact and isinstance(inner, faiss.IndexFlat):
        memory = faiss.rev_swig_ptr(inner.get_xb(), inner.ntotal * inner.d)
        keys = memory.reshape(inner.ntotal, inner.d)

        def fetch(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            # torch takes longer to load than this saves whoever has not loaded it.
            if MANY <= len(vectors) < MATRIX_NUMBERS / inner.d and "torch" in sys.modules:
                from ramer.retrieval.product import best_products

                return best_products(keys, vectors, k)
            with one_faiss_thread() if len(vectors) <= FEW else contextlib.nullcontext():
                scores, places = inner.search(vectors, k)
                return scores, places

        return fetch
    return lambda vectors, k: inner.search(vectors, k)


def wider_fetches(index: DatabaseIndex) -> Iterator[Fetch]:
    """Ways that miss less than ``make_fetch``'s: each visits ``GROWTH`` times as much, the last one all that there is.

    An exact index misses nothing: it has none.
    """
    inner: Any = index.faiss_index
    settings = index.about.settings
    if "ef" in settings:
        for ef in _grown(settings["ef"], inner.ntotal):
            yield _graph(inner, ef)
        keys = faiss.downcast_index(inner.storage)  # whatever no link leads to
        yield lambda vectors, k: keys.search(vectors, k)
    elif "nprobe" in settings:
        for nprobe in _grown(settings["nprobe"], int(faiss.extract_index_ivf(inner).nlist)):
            yield _lists(inner, nprobe)


def _grown(first: int, last: int) -> Iterator[int]:
    while first < last:
        first = min(first * GROWTH, last)
        yield first


def _graph(inner: Any, ef: int) -> Fetch:
    parameters: Any = faiss  # the stubs lack these classes' arguments
    wide = parameters.SearchParametersHNSW
    return lambda vectors, k: inner.search(vectors, k, params=wide(efSearch=max(ef, k)))


def _lists(inner: Any, nprobe: int) -> Fetch:
    parameters: Any = faiss
    probes = parameters.SearchParametersIVF(nprobe=nprobe)
    return lambda vectors, k: inner.search(vectors, k, params=probes)


@contextlib.contextmanager
def one_faiss_thread() -> Iterator[None]:
    """For few queries FAISS' other threads only fight those of torch: together they took three times as long.

    Python's threads do not see each other's number: OpenMP keeps it per thread.
    """
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
