"""The stages that share out their replicates, by this checkout's engine and by another one's, in turn.

Both checkouts need a whole default run (``dvc repro``). Each stage runs as ``python -m stages.<name>``, over its own
outputs: what else has changed since the other checkout falls on the figures, too. For a quiet machine. Prints JSON:
median seconds, wall and processor with that of other processes, of each stage, and the ratio of the sums.

    python -m benchmarks.sharing --before ../before [--repeats 3] [--workers 2] [--stages 'train ramer']
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from benchmarks._checkouts import medians, run_python
from benchmarks._run import ROOT, parser, report, say

STAGES = (
    "pretrain audio",
    "dump audio",
    "train ramer",
    "train late_product",
    "evaluate ramer",
    "evaluate late_product",
)


def seconds(stage: str, workers: int, root: Path) -> dict[str, float]:
    """Wall and processor seconds of one stage."""
    name, item = stage.split()
    taken = run_python(root, ["-m", f"stages.{name}", item], RAMER_WORKERS=str(workers))
    return {"wall": taken.wall, "processor": taken.processor}


def main() -> None:
    options = parser(__doc__, repeats=3, workers=len(os.sched_getaffinity(0)))
    options.add_argument("--before", type=Path, required=True, help="another checkout with one, to compare with")
    options.add_argument("--stages", nargs="+", default=STAGES, help="each with its item")
    given = options.parse_args()
    roots = {"now": ROOT, "before": given.before.resolve()}
    taken: dict[str, dict[str, dict[str, float]]] = {}
    for stage in given.stages:
        taken[stage] = medians(roots, given.repeats, partial(seconds, stage, given.workers))
        say(f"{stage}: {taken[stage]}")
    sums = {name: sum(one[name]["wall"] for one in taken.values()) for name in roots}
    report(given, {"stages": taken, "sums": sums, "now_to_before": sums["now"] / sums["before"]})


if __name__ == "__main__":
    main()
