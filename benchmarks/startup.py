"""What every stage of the default run takes before its first line of work: starting Python, importing, fixing threads.

Each stage is loaded in a process of its own, as ``python -m stages.<name>`` loads it, with the module of its method
(``check`` with those of all), and ends before it works; with ``--before`` in turn with another checkout of the project.
Prints JSON: median seconds, wall and processor, of each stage, the processor seconds up to the first line (without
those of ending Python, which loaded modules cost, too), and the sums over the stages of the default run. A stage of
every method has the mean over the methods, and each of them below ``methods``.

    python -m benchmarks.startup [--repeats 5] [--before ../before]
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._checkouts import means, medians, run_python
from benchmarks._run import ROOT, parser, report, say
from benchmarks.pipeline import count_stages
from ramer.project import Project
from ramer.yaml12 import read_yaml

KINDS = ("wall", "processor", "processor_to_first_line")

# What runs a stage calls what it has loaded with the parameters: here that loads the methods which the stage works
# with, and ends. In checkouts before that was named ``_harness`` a stage's function was imported with its module.
_LOAD = """
import importlib.util, runpy, sys, time
earlier = importlib.util.find_spec("stages._harness") is None
harness = importlib.import_module("stages._run" if earlier else "stages._harness")
run = harness.run
def end(config, *_):
    names = {"check": list(config.methods), "train": sys.argv[1:], "evaluate": sys.argv[1:]}.get(NAME, ())
    for name in set(names) & set(config.methods):  # an earlier run has others
        from ramer.methods import method_options
        method_options(name, config.methods[name])
    print(time.process_time())
    sys.exit(0)
def load_only(load, **options):
    return run(end if earlier else (lambda: load() and end), **options)
harness.run = load_only
sys.argv = ["stages", *sys.argv[2:]] if sys.argv[1:] else sys.argv
runpy.run_module("stages." + NAME, run_name="__main__")
"""


def seconds(name: str, item: str | None, root: Path) -> dict[str, float]:
    """One start: what ``KINDS`` names."""
    code = f"NAME = {name!r}\n{_LOAD}"
    taken = run_python(root, ["-c", code, *(["", item] if item else [""])])
    return dict(zip(KINDS, (taken.wall, taken.processor, float(taken.output.split()[-1])), strict=True))


def main() -> None:
    options = parser(__doc__, repeats=5)
    options.add_argument("--before", type=Path, help="another checkout, to compare with")
    given = options.parse_args()
    roots = {"now": ROOT} | ({"before": given.before.resolve()} if given.before else {})
    pipeline: Any
    params: Any
    pipeline, params = (read_yaml((ROOT / path).read_text("utf-8")) for path in (Project().pipeline, Project().params))
    taken: dict[str, dict[str, Any]] = {}
    for name, stage in pipeline["stages"].items():
        items = stage.get("foreach", [None])
        # All modalities load the same; a method loads what it computes with.
        items = list(params["methods"]) if isinstance(items, str) else items[:1]
        found = {item: medians(roots, given.repeats, partial(seconds, name, item)) for item in items}
        number = count_stages({"stages": {name: stage}}, params)
        taken[name] = {"stages": number} | means(list(found.values())) | ({"methods": found} if len(found) > 1 else {})
        say(f"{name}: {taken[name]}")
    sums = {
        root: {kind: sum(one["stages"] * one[root][kind] for one in taken.values()) for kind in KINDS} for root in roots
    }
    report(given, {"stages": taken, "sum_of_the_default_run": sums})


if __name__ == "__main__":
    main()
