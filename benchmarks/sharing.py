"""The stages that share out their replicates, by this checkout's engine and by another one's, in turn.

Both checkouts need a whole default run (``dvc repro``). Each stage runs as ``python -m stages.<name>``, over its own
outputs; where the engine is as before the bytes stay. For a quiet machine. Prints JSON: median seconds, wall and
processor with that of other processes, of each stage, and the ratio of the sums.

    python -m benchmarks.sharing --before ../before [--repeats 3] [--workers 2]
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks._run import parser, report, say
from benchmarks.pipeline import ROOT

STAGES = (
    "pretrain audio",
    "dump audio",
    "train ramer",
    "train late_product",
    "evaluate ramer",
    "evaluate late_product",
)


def seconds(root: Path, stage: str, workers: int) -> tuple[float, float]:
    """Wall and processor seconds of one stage."""
    used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(root), "RAMER_WORKERS": str(workers)}
    command = [sys.executable, "-m", f"stages.{stage.split()[0]}", stage.split()[1]]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    wall, now = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{root}: {stage} failed:\n{done.stderr}")
    return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def main() -> None:
    options = parser(__doc__, repeats=3, workers=len(os.sched_getaffinity(0)))
    options.add_argument("--now", type=Path, default=ROOT, help="a checkout with a whole default run; this one")
    options.add_argument("--before", type=Path, required=True, help="another checkout with one, to compare with")
    given = options.parse_args()
    roots = {"now": given.now.resolve(), "before": given.before.resolve()}
    taken: dict[str, dict[str, dict[str, float]]] = {}
    for stage in STAGES:
        found: dict[str, list[tuple[float, float]]] = {root: [] for root in roots}
        for _ in range(given.repeats):
            for name, root in roots.items():
                found[name].append(seconds(root, stage, given.workers))
        medians = {name: [statistics.median(one) for one in zip(*runs, strict=True)] for name, runs in found.items()}
        taken[stage] = {name: {"wall": wall, "processor": used} for name, (wall, used) in medians.items()}
        say(f"{stage}: {taken[stage]}")
    sums = {name: sum(one[name]["wall"] for one in taken.values()) for name in roots}
    report(given, {"stages": taken, "sums": sums, "now_to_before": sums["now"] / sums["before"]})


if __name__ == "__main__":
    main()
