"""How much memory each stage of a pipeline run takes: the anonymous resident part, which no disk could hold for it.

Runs a command (by default ``dvc repro``), samples ``RssAnon`` of every process below it and sums it per stage, which a
process carries in its environment as ``DVC_STAGE``. Pages of memory-mapped files are not counted: the kernel drops them
when it needs the room. Prints JSON: per stage the peak in MB and the seconds from first to last sample.

    python -m benchmarks.memory [--interval 0.05] [--] dvc repro
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
OTHERS = "dvc"  # processes of the run that belong to no stage


class Peaks:
    """Largest sum of RssAnon per stage [kB], and when a stage was first and last seen."""

    def __init__(self) -> None:
        self.kilobytes: dict[str, int] = defaultdict(int)
        self.seen: dict[str, tuple[float, float]] = {}

    def sample(self, root: int) -> None:
        now, held = time.perf_counter(), defaultdict(int)
        for process in descendants(root):
            held[stage_of(process)] += anonymous_kilobytes(process)
        for stage, kilobytes in held.items():
            self.kilobytes[stage] = max(self.kilobytes[stage], kilobytes)
            self.seen[stage] = (self.seen.get(stage, (now, now))[0], now)


def descendants(root: int) -> Iterator[int]:
    """A process and all that it started, directly or through others."""
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        try:
            for task in (PROC / str(process) / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it has ended


def anonymous_kilobytes(process: int) -> int:
    try:
        lines = (PROC / str(process) / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


def stage_of(process: int) -> str:
    try:
        variables = (PROC / str(process) / "environ").read_bytes().split(b"\0")
    except OSError:
        return OTHERS
    return next((v.partition(b"=")[2].decode() for v in variables if v.startswith(b"DVC_STAGE=")), OTHERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interval", type=float, default=0.05, help="seconds between samples")
    parser.add_argument("command", nargs="*", default=["dvc", "repro"])
    options = parser.parse_args()
    peaks, start = Peaks(), time.perf_counter()
    # The command's own words go to stderr: stdout is for the JSON.
    process = subprocess.Popen(options.command or ["dvc", "repro"], stdout=sys.stderr)
    while process.poll() is None:
        peaks.sample(process.pid)
        time.sleep(options.interval)
    stages = {
        stage: {"peak_mb": round(peaks.kilobytes[stage] / 1024, 1), "seconds": round(last - first, 1)}
        for stage, (first, last) in peaks.seen.items()
    }
    result = {
        "command": options.command,
        "exit_code": process.returncode,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_mb": max((s["peak_mb"] for name, s in stages.items() if name != OTHERS), default=0.0),
        "stages": stages,
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(result, indent=2))
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
