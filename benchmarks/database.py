"""A database that need not fit into memory: inverted lists on disk, filled in shards; time, memory, recall.

    python -m benchmarks.database [--rows 5000000] [--dim 64] [--kind ivf_flat] [--nlist 2048]

Prints JSON. Needs twice the states on disk (5 x 10^6 rows of 64 numbers: 2.6 GB) in the temporary folder.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ramer.array_files import write_array
from ramer.config import Index
from ramer.retrieval.disk_lists import States, fill_on_disk, lists_of
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexed_rows import IndexedRows
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import search
from ramer.seeding import generator

BLOCK, CENTRES, QUERIES = 100_000, 4096, 256


class Peak(threading.Thread):
    """The most anonymous memory, in MB, that this process or one that it started ever had."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mb, self.over = 0.0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            self.mb = max([self.mb, *map(_anonymous_mb, self._processes())])

    @staticmethod
    def _processes() -> list[str]:
        children = Path("/proc/self/task").glob("*/children")
        return ["self", *(pid for path in children for pid in path.read_text().split())]


def _anonymous_mb(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)


def _write_states(folder: Path, rows: int, dim: int) -> None:
    """Rows around centres that are themselves around few: what an encoder's states look like."""
    rng = generator(0, "database")
    centres = rng.normal(size=(CENTRES, dim)) + 2.0 * rng.normal(size=(16, dim))[rng.integers(0, 16, CENTRES)]

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, rows, BLOCK):
            size = min(BLOCK, rows - start)
            yield (centres[rng.integers(0, CENTRES, size)] + 0.7 * rng.normal(size=(size, dim))).astype(np.float32)

    folder.mkdir()
    write_array(folder / "states.npy", (1, rows, dim), blocks())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--kind", default="ivf_flat")
    parser.add_argument("--nlist", type=int, default=2048)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        states, path = Path(place) / "states", Path(place) / "index.faiss"
        _write_states(states, asked.rows, asked.dim)
        peak = Peak()
        peak.start()
        begun = time.perf_counter()
        settings, ids = Index(kind=asked.kind, lists="disk", nlist=asked.nlist), np.arange(asked.rows)
        named = IndexedRows.of(ids, map(str, ids))
        made, chosen, recall = fill_on_disk(settings, asked.kind, States(states, 0), named, ids, path)
        built = time.perf_counter() - begun
        table = np.load(states / "states.npy", mmap_mode="r")[0]
        queries = np.asarray(table[:: asked.rows // QUERIES][:QUERIES])
        index = DatabaseIndex(made, named.rows, IndexKind(kind=asked.kind, dimension=asked.dim, settings=chosen))
        begun = time.perf_counter()
        search(index, table, queries, 20)
        searched = time.perf_counter() - begun
        peak.over.set()
        peak.join()
        size = lists_of(path).stat().st_size
    told = {
        "rows": asked.rows,
        "settings": chosen,
        "recall_at_5": recall,
        "lists_mb": round(size / 1e6),
        "built_s": round(built, 1),
        "ms_a_query": round(1000 * searched / QUERIES, 2),
        "peak_anonymous_mb_of_any_process": round(peak.mb),
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
