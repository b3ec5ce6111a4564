"""The fastest way to candidates on the processor: FAISS, or the product with a flat index' keys."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import faiss
import numpy as np

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
    parameters: Any = faiss  # the stubs lack these classes' arguments
    if "ef" in settings:
        wide = parameters.SearchParametersHNSW
        return lambda vectors, k: inner.search(vectors, k, params=wide(efSearch=max(settings["ef"], k)))
    if "nprobe" in settings:
        probes = parameters.SearchParametersIVF(nprobe=settings["nprobe"])
        return lambda vectors, k: inner.search(vectors, k, params=probes)
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
