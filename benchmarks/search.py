"""How long exact search takes beside what it cannot do without: ``python -m benchmarks.search [--full]``.

Prints JSON: seconds, and the ratios to the blocked matrix product alone (reused output), to a loop of one FAISS search
per sample (as the published code has it) and to one FAISS search of the whole batch with FAISS' defaults. Ours does
more than these: it excludes the query's speaker and scores in double precision. All are measured in one run, in turn,
and the best of the rounds counts, so that the machine's other work falls on all of them. On a busy machine compare
processor time with ``--threads 1``: threads that wait for each other cost more there than the search.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import faiss
import numpy as np
import torch

from benchmarks._run import parser, report
from ramer.retrieval.aggregation import aggregate, find
from ramer.retrieval.exclusion import exclusion_codes
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import search
from ramer.retrieval.states import l2_normalise
from ramer.retrieval.structures import Database, Lists, Queries, Rules
from ramer.seeding import generator, set_threads

SMALL = {"queries": 500, "database": 10_000, "hidden": 64}
FULL = {"queries": 5_030, "database": 115_595, "hidden": 256}  # MER2024: labelled rows against the pool
LOOPED = 100  # samples of the per-sample loop; its time is scaled to all
BLOCKS = ((512, 4096), (1024, 4096), (1024, 8192))  # the fastest of these is what search is compared with
SPEAKER_ROWS = 20


def main() -> None:
    made = parser(__doc__, threads=2, rounds=3, width=5)
    made.add_argument("--full", action="store_true", help="the size of MER2024 instead of a smoke test")
    options = made.parse_args()
    set_threads(options.threads)
    size = FULL if options.full else SMALL
    report(options, {**size, **measure(**size, width=options.width, rounds=options.rounds)})


def measure(queries: int, database: int, hidden: int, width: int, rounds: int) -> dict[str, float]:
    """Best seconds of every contender over the rounds, and their ratios."""
    rng = generator(0, "benchmark")
    states = rng.standard_normal((database, hidden), dtype=np.float32)
    asked = rng.standard_normal((queries, hidden), dtype=np.float32)
    index = faiss.IndexFlatIP(hidden)
    index.add(l2_normalise(states))
    own = DatabaseIndex(index, np.arange(database), IndexKind(kind="flat", dimension=hidden))
    codes = exclusion_codes(np.arange(database) // SPEAKER_ROWS, "speaker")
    query_codes = codes[rng.integers(database, size=queries)]
    unit, keys = torch.from_numpy(l2_normalise(asked)), torch.from_numpy(l2_normalise(states))
    contenders: dict[str, Callable[[], object]] = {
        f"product_{a}x{b}": lambda a=a, b=b: blocked_product(unit, keys, a, b)  # type: ignore[misc]
        for a, b in BLOCKS
    }
    contenders["search"] = lambda: search(own, states, asked, width, codes=codes, query_codes=query_codes)
    contenders["faiss"] = lambda: index.search(unit.numpy(), width)
    contenders["loop"] = lambda: [index.search(unit[i : i + 1].numpy(), width) for i in range(min(LOOPED, queries))]
    contenders["aggregate"] = aggregation(queries, states[: max(10_000, queries)], rng)
    clocks = {"": time.perf_counter, "cpu_": time.process_time}
    seconds = {clock: dict.fromkeys(contenders, float("inf")) for clock in clocks}
    for _ in range(rounds):
        for name, contender in contenders.items():
            start = {clock: read() for clock, read in clocks.items()}
            contender()
            for clock, read in clocks.items():
                seconds[clock][name] = min(seconds[clock][name], read() - start[clock])
    scale = queries / min(LOOPED, queries)
    return {key: value for clock, best in seconds.items() for key, value in ratios(clock, best, scale).items()}


def ratios(clock: str, seconds: dict[str, float], scale: float) -> dict[str, float]:
    """The figures of one clock; the loop's time is scaled to all samples."""
    product = min(s for name, s in seconds.items() if name.startswith("product"))
    return {
        f"{clock}product_seconds": product,
        f"{clock}search_seconds": seconds["search"],
        f"{clock}loop_seconds": seconds["loop"] * scale,
        f"{clock}faiss_seconds": seconds["faiss"],
        f"{clock}aggregate_seconds": seconds["aggregate"],
        f"{clock}search_over_product": seconds["search"] / product,
        f"{clock}loop_over_search": seconds["loop"] * scale / seconds["search"],
        f"{clock}faiss_over_search": seconds["faiss"] / seconds["search"],
    }


def blocked_product(unit: torch.Tensor, keys: torch.Tensor, rows: int, columns: int) -> None:
    """All inner products, block by block into one reused output."""
    out = torch.empty(rows * columns)
    for start in range(0, len(unit), rows):
        part = unit[start : start + rows]
        for first in range(0, len(keys), columns):
            block = keys[first : first + columns]
            torch.mm(part, block.T, out=out[: len(part) * len(block)].view(len(part), len(block)))


def aggregation(queries: int, states: np.ndarray, rng: np.random.Generator) -> Callable[[], object]:
    """Stand-ins of every query under each of the six missing conditions, from lists of width 50."""
    rows = {m: rng.integers(len(states), size=(queries, 50)) for m in ("audio", "video", "text")}
    scores = {m: -np.sort(-rng.random((queries, 50)), axis=1) for m in rows}
    database = Database(dict.fromkeys(rows, states), np.ones((len(states), 3), dtype=bool), np.zeros(len(states), int))
    masks = [np.array(mask) for mask in np.ndindex(2, 2, 2) if sum(mask) in (1, 2)]

    def run() -> None:
        for mask in masks:
            batch = Queries(dict.fromkeys(rows, states[:queries]), np.tile(mask.astype(bool), (queries, 1)))
            aggregate(find(Lists(rows, scores), batch, database, Rules()), database, Rules())

    return run


if __name__ == "__main__":
    main()
