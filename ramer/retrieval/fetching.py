"""The fastest way to candidates: FAISS on the CPU or a GPU, or the product with a flat index' keys."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import faiss
import numpy as np
import torch

from ramer.errors import RetrievalError
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.product import best_products

MOST_ON_GPU = 2048


# Measured with FAISS 1.15: below MANY queries nothing beats it; from so many numbers on it multiplies matrices, at the
# speed of the product alone; in between it goes query by query, and our product is up to five times as fast.
MANY = 32
MATRIX_NUMBERS = 131_072
FEW = 8  # queries up to which calls, and threads that wait for each other, cost more than arithmetic
Fetch = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def search_gpu(device: str, gpus: int) -> int | None:
    """The FAISS GPU that searches, or None: a CUDA device is used only if this FAISS sees one.

    Args:
        device: ``runtime.device``: auto, cpu, cuda or cuda:N.
        gpus: ``faiss.get_num_gpus()``; 0 for a build without GPU support.

    Raises:
        RetrievalError: the device asked for by number is not there.
    """
    if device == "cpu" or gpus == 0:
        return None
    number = int(device.partition(":")[2] or 0)
    if number >= gpus:
        raise RetrievalError(f"params.yaml: runtime.device: {device}: FAISS sees {gpus} GPUs")
    return number


def available_gpus() -> int:
    """How many GPUs this build of FAISS sees."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def make_fetch(index: DatabaseIndex, gpu: int | None = None) -> Fetch:
    """The fastest way to an index' k best keys of unit vectors: (vectors [q, hidden], k) to scores and places [q, k].

    Args:
        gpu: number of the FAISS GPU that searches, which gets a copy of the keys; None for the CPU.
    """
    inner, settings = index.faiss_index, index.about.settings
    parameters: Any = faiss  # the stubs lack these classes' arguments
    if gpu is not None and index.exact:
        # FAISS bounds the width on a GPU; what needs more is searched on the CPU.
        device = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), gpu, inner)
        return lambda vectors, k: (device if k <= MOST_ON_GPU else inner).search(vectors, k)
    if "ef" in settings:
        wide = parameters.SearchParametersHNSW
        return lambda vectors, k: inner.search(vectors, k, params=wide(efSearch=max(settings["ef"], k)))
    if "nprobe" in settings:
        probes = parameters.SearchParametersIVF(nprobe=settings["nprobe"])
        return lambda vectors, k: inner.search(vectors, k, params=probes)
    if index.exact and isinstance(inner, faiss.IndexFlat):
        memory = faiss.rev_swig_ptr(inner.get_xb(), inner.ntotal * inner.d)
        keys = torch.from_numpy(memory.reshape(inner.ntotal, inner.d))

        def fetch(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            if MANY <= len(vectors) < MATRIX_NUMBERS / inner.d:
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
