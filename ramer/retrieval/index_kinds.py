"""Kinds of FAISS index, how their sizes are chosen, and how they are filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from ramer.config import Index
from ramer.errors import RetrievalError
from ramer.retrieval.recall import RecallSample
from ramer.retrieval.states import l2_normalise
from ramer.seeding import generator

BLOCK = 16384  # keys normalised and added at a time
LEAST_COMPRESSED = 32  # keys; fewer do not train codes, and are exact at no cost
FLAT_ROWS = 200_000  # auto: up to here exact search takes milliseconds a query
IVF_BYTES = 4 << 30  # auto: beyond this many bytes of keys they are compressed
TRAIN_PER_CENTROID = 64  # rows of the training sample per inverted list or code


def choose_kind(settings: Index, count: int, dimension: int) -> str:
    """The kind that is built of so many keys: ``auto`` is decided by size, and a handful of keys is not compressed."""
    if count < (LEAST_COMPRESSED if settings.kind == "ivf_pq" else 1):
        return "flat"
    if settings.kind != "auto":
        return settings.kind
    if count <= FLAT_ROWS:
        return "flat"
    return "ivf_flat" if count * dimension * 4 <= IVF_BYTES else "ivf_pq"


def _flat(settings: Index, count: int, dimension: int) -> tuple[faiss.Index, dict[str, int]]:
    return faiss.IndexFlatIP(dimension), {}


def _lists(settings: Index, count: int) -> dict[str, int]:
    nlist = min(settings.nlist or max(1, round(4 * count**0.5)), count)
    return {"nlist": nlist, "nprobe": min(settings.nprobe or nlist, nlist)}


def _ivf_flat(settings: Index, count: int, dimension: int) -> tuple[faiss.Index, dict[str, int]]:
    chosen = _lists(settings, count)
    coarse = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFFlat(coarse, dimension, chosen["nlist"], faiss.METRIC_INNER_PRODUCT)
    return _seeded(index, settings, chosen), chosen


def _ivf_pq(settings: Index, count: int, dimension: int) -> tuple[faiss.Index, dict[str, int]]:
    chosen = _lists(settings, count)
    chosen["m"] = settings.m or max(d for d in range(1, max(1, dimension // 4) + 1) if dimension % d == 0)
    # A codebook needs at least as many training rows as it has codes.
    chosen["bits"] = int(min(8, np.log2(count)))
    m, bits = chosen["m"], chosen["bits"]
    if dimension % m:
        raise RetrievalError(f"params.yaml: index.m: expected a divisor of the hidden size {dimension}, got {m}")
    coarse = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFPQ(coarse, dimension, chosen["nlist"], m, bits, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.seed = settings.seed
    index.pq.cp.min_points_per_centroid = 1
    return _seeded(index, settings, chosen), chosen


def _hnsw(settings: Index, count: int, dimension: int) -> tuple[faiss.Index, dict[str, int]]:
    chosen = {"m": settings.m or 32, "ef_construction": settings.ef_construction or 200, "ef": settings.ef or 128}
    index = faiss.IndexHNSWFlat(dimension, chosen["m"], faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = chosen["ef_construction"]
    index.hnsw.efSearch = chosen["ef"]
    return index, chosen


KINDS: dict[str, Callable[[Index, int, int], tuple[faiss.Index, dict[str, int]]]] = {
    "flat": _flat,
    "ivf_flat": _ivf_flat,
    "ivf_pq": _ivf_pq,
    "hnsw": _hnsw,
}


def _seeded(index: Any, settings: Index, chosen: dict[str, int]) -> Any:
    index.nprobe = chosen["nprobe"]
    index.cp.seed = settings.seed
    index.cp.min_points_per_centroid = 1
    return index


def new_index(settings: Index, kind: str, count: int, dimension: int) -> tuple[faiss.Index, dict[str, int]]:
    """An empty index for so many keys, and the sizes that were chosen."""
    return KINDS[kind](settings, count, dimension)


def train_index(
    index: Any, settings: Index, chosen: dict[str, int], states: np.ndarray, rows: np.ndarray, ids: np.ndarray
) -> None:
    """Train an index that needs it on a sample of the states of ``rows``.

    Args:
        states: raw states by row number, may be memory-mapped. ids: names by row number.

    Raises:
        RetrievalError: a state of the sample is zero or not finite.
    """
    if index.is_trained:
        return
    size = min(len(rows), TRAIN_PER_CENTROID * max(chosen["nlist"], 1 << chosen.get("bits", 0)))
    sample = np.sort(generator(settings.seed, "index", "sample").choice(rows, size, replace=False))
    index.train(l2_normalise(states[sample], refuse="key of row", ids=ids[sample]))


def fill_index(
    settings: Index,
    kind: str,
    states: np.ndarray,
    rows: np.ndarray,
    ids: np.ndarray,
    codes: np.ndarray | None = None,
) -> tuple[faiss.Index, dict[str, int], float | None]:
    """An index over the states of ``rows``, its settings and its recall on a sample (None for an exact one).

    Where ``index.nprobe`` is null as many lists are visited as the recall of the sample asks for.

    Args:
        states: raw states by row number, may be memory-mapped. ids: names by row number.
        codes: by row number, of what a query must not find; None: only itself.
    """
    if not len(rows):
        return faiss.IndexFlatIP(max(states.shape[1], 1)), {}, None
    index, chosen = new_index(settings, kind, len(rows), states.shape[1])
    train_index(index, settings, chosen, states, rows, ids)
    add_keys(index, kind, states, rows, ids[rows])
    return index, chosen, None if kind == "flat" else measure_recall(index, settings, chosen, states, rows, codes)


def measure_recall(
    index: Any,
    settings: Index,
    chosen: dict[str, int],
    states: np.ndarray,
    rows: np.ndarray,
    codes: np.ndarray | None = None,
) -> float | None:
    """Recall on a sample of the keys, None where there are no two; chooses ``nprobe`` where the settings do not.

    Args:
        chosen: sizes, of which ``nprobe`` may change.
        states: raw states by row number, may be memory-mapped.
        codes: by row number, of what a query must not find; None: only itself.
    """
    asked = RecallSample.draw(states, rows, settings.seed, codes)
    if asked is None:
        return None
    if "nprobe" in chosen and settings.nprobe is None:
        chosen["nprobe"] = asked.fewest_lists(index, chosen["nlist"], settings.rerank)
        faiss.ParameterSpace().set_index_parameter(index, "nprobe", chosen["nprobe"])
    return asked.recall(index, settings.rerank)


def write_faiss(index: faiss.Index, path: Path) -> None:
    """Write an index; given a name, FAISS would not notice that the last bytes did not fit on the disk."""
    with path.open("wb") as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]


def add_keys(index: Any, kind: str, states: np.ndarray, rows: np.ndarray, names: Sequence[Any] | np.ndarray) -> None:
    """Add the states of ``rows`` to a trained index as keys of length 1, block by block.

    Args:
        states: raw states by row number, may be memory-mapped.
        names: of the rows [n], for messages.

    Raises:
        RetrievalError: a state is zero or not finite; the keys of blocks before it have been added.
    """
    threads = faiss.omp_get_max_threads()
    if kind == "hnsw":
        faiss.omp_set_num_threads(1)  # the graph depends on the order in which threads insert
    try:
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            index.add(l2_normalise(states[rows[block]], refuse="key of row", ids=names[block]))
    finally:
        faiss.omp_set_num_threads(threads)
