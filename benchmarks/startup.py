"""What every stage of the default run takes before its first line of work: starting Python, importing, fixing threads.

Each stage is loaded in a process of its own, as ``python -m stages.<name>`` loads it, and ends before it works; with
``--before`` in turn with another checkout of the project. Prints JSON: median seconds, wall and processor, of each
stage, the processor seconds up to the first line (without those of ending Python, which loaded modules cost, too), and
the sums over the stages of the default run.

    python -m benchmarks.startup [--repeats 5] [--before ../before]
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks._run import parser, report, say
from benchmarks.pipeline import ROOT, count_stages
from ramer.project import Project
from ramer.yaml12 import read_yaml

KINDS = ("wall", "processor", "processor_to_first_line")

# What runs a stage calls what it has loaded with the parameters: here it ends instead. In checkouts before that was
# named ``_harness`` a stage's function was imported with its module.
_LOAD = """
import importlib.util, runpy, sys, time
earlier = importlib.util.find_spec("stages._harness") is None
harness = importlib.import_module("stages._run" if earlier else "stages._harness")
run = harness.run
def end(*_):
    print(time.process_time())
    sys.exit(0)
def load_only(load, **options):
    return run(end if earlier else (lambda: load() and end), **options)
harness.run = load_only
sys.argv = ["stages", *sys.argv[2:]] if sys.argv[1:] else sys.argv
runpy.run_module("stages." + NAME, run_name="__main__")
"""


def seconds(root: Path, name: str, item: str | None) -> tuple[float, float, float]:
    """One start: what ``KINDS`` names."""
    code = f"NAME = {name!r}\n{_LOAD}"
    arguments = ["", item] if item else [""]
    used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    wall, now = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{root}: {name} failed:\n{done.stderr}")
    return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, float(done.stdout.split()[-1])


def main() -> None:
    options = parser(__doc__, repeats=5)
    options.add_argument("--before", type=Path, help="another checkout, to compare with")
    given = options.parse_args()
    roots = {"now": ROOT} | ({"before": given.before.resolve()} if given.before else {})
    pipeline: Any
    params: Any
    pipeline, params = (read_yaml((ROOT / path).read_text("utf-8")) for path in (Project().pipeline, Project().params))
    methods = list(params["methods"])
    taken: dict[str, dict[str, Any]] = {}
    for name, stage in pipeline["stages"].items():
        items = stage.get("foreach", [None])
        item = methods[0] if isinstance(items, str) else items[0]
        found: dict[str, list[tuple[float, float, float]]] = {root: [] for root in roots}
        for _ in range(given.repeats):
            for root, folder in roots.items():
                found[root].append(seconds(folder, name, item))
        number = count_stages({"stages": {name: stage}}, params)
        medians = {root: [statistics.median(one) for one in zip(*runs, strict=True)] for root, runs in found.items()}
        taken[name] = {"stages": number} | {root: dict(zip(KINDS, one, strict=True)) for root, one in medians.items()}
        say(f"{name}: {json.dumps(taken[name])}")
    sums = {
        root: {kind: sum(one["stages"] * one[root][kind] for one in taken.values()) for kind in KINDS} for root in roots
    }
    report(given, {"stages": taken, "sum_of_the_default_run": sums})


if __name__ == "__main__":
    main()
