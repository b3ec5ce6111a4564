"""Exact search on a GPU as long as it can, then on the processor: the same rows and the same bits."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import faiss
import numpy as np

from ramer.devices import Attempts
from ramer.errors import RetrievalError
from ramer.retrieval.fetching import Fetch, make_fetch
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.ordering import Asked, DeviceScoring, Hits, Scoring, score_here

MOST_GPU_HITS = 2048  # hits that FAISS gives on a GPU; what needs more is searched on the processor


class Backend(NamedTuple):
    """How one index is searched."""

    fetch: Fetch
    scoring: Scoring


@runtime_checkable
class GpuLibrary(Protocol):
    """What is asked of FAISS: how many GPUs it sees, and the search on one."""

    def count(self) -> int: ...

    def backend(self, number: int, index: DatabaseIndex, states: np.ndarray) -> Backend: ...


class FaissGpus:
    """GPUs as this build of FAISS sees them; without support for any it sees none."""

    def count(self) -> int:
        return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0

    def backend(self, number: int, index: DatabaseIndex, states: np.ndarray) -> Backend:
        library: Any = faiss  # the stubs lack what a build for GPUs has
        device = library.index_cpu_to_gpu(library.StandardGpuResources(), number, index.faiss_index)
        return Backend(device.search, DeviceScoring(index, states, f"cuda:{number}"))


def search_gpu(device: str, gpus: int) -> int | None:
    """The GPU that searches, or None: a CUDA device is used only if FAISS sees one.

    Args:
        device: ``runtime.device``: auto, cpu, cuda or cuda:N.
        gpus: how many FAISS sees; 0 for a build without GPU support.

    Raises:
        RetrievalError: the device asked for by number is not there.
    """
    if device == "cpu" or gpus == 0:
        return None
    number = int(device.partition(":")[2] or 0)
    if number >= gpus:
        raise RetrievalError(f"params.yaml: runtime.device: {device}: FAISS sees {gpus} GPUs")
    return number


class Searches:
    """What searches one index after the other; a GPU that has failed once is not asked again.

    Args:
        device: ``runtime.device``. library: that searches on GPUs.

    Raises:
        RetrievalError: the device asked for by number is not there.
        ConfigError: a GPU was asked for by name and FAISS cannot use it.
    """

    def __init__(self, device: str, library: GpuLibrary | None = None) -> None:
        self._library = library or FaissGpus()
        self._attempts = Attempts(device)
        self._gpu = None
        if device != "cpu":
            self._gpu = self._attempts.run(lambda: search_gpu(device, self._library.count()), lambda: None)

    def of(self, index: DatabaseIndex, states: np.ndarray) -> Backend:
        """The fastest backend for an index; a GPU gets a copy of its keys and states.

        Args:
            states: raw, by corpus row.

        Raises:
            ConfigError: now or as it searches: the GPU was asked for by name and fails.
        """
        here, gpu, run = Backend(make_fetch(index), score_here), self._gpu, self._attempts.run
        if gpu is None or not index.exact:
            return here
        there = run(lambda: self._library.backend(gpu, index, states), lambda: here)
        if there is here:
            return here

        def fetch(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            if k > MOST_GPU_HITS:
                return here.fetch(vectors, k)
            return run(lambda: there.fetch(vectors, k), lambda: here.fetch(vectors, k))

        def score(
            asked: Asked, part: np.ndarray, kernel: np.ndarray, found: np.ndarray, kept: int, width: int
        ) -> tuple[Hits, np.ndarray]:
            given = asked, part, kernel, found, kept, width
            return run(lambda: there.scoring(*given), lambda: here.scoring(*given))

        return Backend(fetch, score)
