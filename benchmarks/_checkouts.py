"""What stages take in this checkout and in another one, in turn, so that other work on the machine falls on both."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Taken(NamedTuple):
    """Seconds of one process: wall, and of processors, with all processes that it started. output: what it printed."""

    wall: float
    processor: float
    output: str


def run_python(root: Path, arguments: Sequence[str], **environment: str) -> Taken:
    """Run this Python in a checkout, whose code it finds first.

    Raises:
        SystemExit: it failed, with what it said.
    """
    used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    wall, now = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{root}: python {' '.join(arguments)} failed:\n{done.stderr}")
    return Taken(wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, done.stdout)


def medians(
    roots: Mapping[str, Path], repeats: int, measure: Callable[[Path], dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Of each checkout the medians of what is measured there, so many times and in turn."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in roots}
    for _ in range(repeats):
        for name, root in roots.items():
            found[name].append(measure(root))
    return {
        name: {kind: statistics.median(run[kind] for run in runs) for kind in runs[0]} for name, runs in found.items()
    }


def means(measured: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Of what ``medians`` gave for several, the mean per checkout and kind."""
    return {
        name: {kind: statistics.fmean(one[name][kind] for one in measured) for kind in kinds}
        for name, kinds in measured[0].items()
    }
