"""How time and memory of ``prepare``, ``dump``, ``index`` and ``retrieve`` grow with the pool, from 10^4 to 10^6 rows.

One modality of a small width, so that a million rows fit a test machine's disk: growth is in rows. Each step runs in a
process of its own, whose anonymous resident memory is sampled; queries are a fixed number of labelled rows. Prints
JSON: seconds and peak MB by size, and per step the exponent of a power law fitted to the processor seconds of
the three largest sizes.

    python -m benchmarks.growth [--largest 1000000] [--kind flat]
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks._run import parser, report, say
from benchmarks.memory import anonymous_kilobytes
from ramer.config import Config, parse_config
from ramer.pipeline.dump import dump
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.retrieve import retrieve
from ramer.project import Project
from ramer.seeding import set_threads

MODALITY, LABELLED, DIM = "audio", 1000, 128
INTERVAL = 0.02


def make_config(pool: int, kind: str) -> Config:
    synthetic = {"rows": LABELLED, "pool_rows": pool, "dims": {MODALITY: DIM, "video": 1, "text": 1}}
    return parse_config(
        {
            "corpus": {"synthetic": synthetic},
            "prepare": {"seeds": [0]},
            "pretrain": {MODALITY: {"epochs": 2}},
            "index": {"kind": kind},
            "retrieval": {"scope": "all"},
            "methods": {"ramer": {"type": "ramer"}},
        }
    )


def step(name: str, config: Config, root: Path) -> None:
    project = Project(root)
    if name == "prepare":
        return prepare(config, project)
    stages = {"pretrain": pretrain, "dump": dump, "index": index, "retrieve": retrieve}
    return stages[name](config, project, MODALITY)


def timed(name: str, config: Config, root: Path, threads: int, answer: Connection) -> None:
    set_threads(threads)
    start, worked = time.perf_counter(), time.process_time()
    step(name, config, root)
    answer.send((time.perf_counter() - start, time.process_time() - worked))


def measure(name: str, config: Config, root: Path, threads: int) -> tuple[float, float, float]:
    """Wall and processor seconds, and peak anonymous MB, of a step in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=timed, args=(name, config, root, threads, sender))
    process.start()
    peak = 0
    while process.is_alive():
        peak = max(peak, anonymous_kilobytes(int(process.pid or 0)))
        time.sleep(INTERVAL)
    process.join()
    if process.exitcode:
        raise SystemExit(f"{name} failed")
    return (*receiver.recv(), peak / 1024)


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Of a power law through the three largest sizes; start-up, which every size pays, makes it smaller."""
    return float(np.polyfit(np.log(sizes[-3:]), np.log(seconds[-3:]), 1)[0])


def main() -> None:
    made = parser(__doc__, largest=1_000_000, threads=1)
    made.add_argument("--kind", default="flat")
    options = made.parse_args()
    sizes = [size for size in (10_000, 31_623, 100_000, 316_228, 1_000_000) if size <= options.largest]
    names = ("prepare", "pretrain", "dump", "index", "retrieve")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    worked: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, list[float]] = {name: [] for name in names}
    for size in sizes:
        config = make_config(size, options.kind)
        with tempfile.TemporaryDirectory() as folder:
            for name in names:
                took, cpu, peak = measure(name, config, Path(folder), options.threads)
                seconds[name].append(took)
                worked[name].append(cpu)
                peaks[name].append(peak)
                say(f"{size} {name}: {took:.1f} s, {peak:.0f} MB")
    exponents = {name: exponent(sizes, worked[name]) for name in names if name != "pretrain"}
    figures = {"pool_rows": sizes, "seconds": seconds, "cpu_seconds": worked, "peak_mb": peaks, "exponents": exponents}
    report(options, figures)


if __name__ == "__main__":
    main()
