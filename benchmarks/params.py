"""How fast ``params.yaml`` is read: every stage and most commands begin with it.

The reader of this project (PyYAML's parser with the numbers of YAML 1.2) in turn with ruamel.yaml, which it took the
place of. Both have to give the same values. Prints JSON: median milliseconds of each, and the ratio.

    python -m benchmarks.params [--repeats 50]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from ruamel.yaml import YAML

from benchmarks._run import ROOT, parser, report
from ramer.project import Project
from ramer.yaml12 import read_yaml

PARAMS = Project(ROOT).params


def main() -> None:
    options = parser(__doc__, repeats=50).parse_args()
    text = PARAMS.read_text("utf-8")
    readers: dict[str, Callable[[str], object]] = {
        "ramer": read_yaml,
        "ruamel_pure": lambda given: YAML(typ="safe", pure=True).load(given),
    }
    if len({repr(read(text)) for read in readers.values()}) != 1:
        raise SystemExit("the readers do not agree")
    taken: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(options.repeats):
        for name, read in readers.items():
            start = time.perf_counter()
            read(text)
            taken[name].append(1000 * (time.perf_counter() - start))
    figures = {f"{name}_ms": statistics.median(times) for name, times in taken.items()}
    report(options, figures | {"times_faster": figures["ruamel_pure_ms"] / figures["ramer_ms"]})


if __name__ == "__main__":
    main()
