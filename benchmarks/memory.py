"""How much memory each stage of a pipeline run takes: the anonymous resident part, which no disk could hold for it.

Runs a command (by default ``dvc repro``), or a preset in a clone that is deleted afterwards, samples ``RssAnon`` of
every process below it and sums it per stage, which a process carries in its environment as ``DVC_STAGE``. Pages of
memory-mapped files are not counted: the kernel drops them when it needs the room. Prints JSON: per stage the peak in
MB and the seconds from first to last sample.

    python -m benchmarks.memory [--interval 0.05] [--] dvc repro
    python -m benchmarks.memory --preset presets/mer2024.txt
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._run import ROOT, parser, report

PROC = Path("/proc")
OTHERS = "dvc"  # processes of the run that belong to no stage


class Peaks:
    """Largest sum of RssAnon per stage [kB], and when a stage was first and last seen."""

    def __init__(self) -> None:
        self.kilobytes: dict[str, int] = defaultdict(int)
        self.seen: dict[str, tuple[float, float]] = {}

    def sample(self, root: int) -> None:
        now = time.perf_counter()
        held: dict[str, int] = defaultdict(int)
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


def watch(command: list[str], folder: Path, interval: float) -> dict[str, Any]:
    """Run a command; per stage its peak in MB and its seconds from first to last sample."""
    peaks, start = Peaks(), time.perf_counter()
    # The command's own words go to stderr: stdout is for the JSON.
    process = subprocess.Popen(command, cwd=folder, stdout=sys.stderr)
    while process.poll() is None:
        peaks.sample(process.pid)
        time.sleep(interval)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    stages = {
        stage: {"peak_mb": peaks.kilobytes[stage] / 1024, "seconds": last - first}
        for stage, (first, last) in peaks.seen.items()
    }
    peak = max((s["peak_mb"] for name, s in stages.items() if name != OTHERS), default=0.0)
    return {"seconds": time.perf_counter() - start, "peak_mb": peak, "stages": stages}


def clone(folder: Path) -> Path:
    """A clone of the last commit, whose cache and workspace share what they hold."""
    project = folder / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    subprocess.run(["dvc", "config", "--local", "cache.type", "reflink,hardlink,symlink"], cwd=project, check=True)
    return project


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--interval", type=float, default=0.05, help="seconds between samples")
    made.add_argument("--preset", type=Path, help="arguments of `dvc exp run`, which then runs in a clone")
    made.add_argument("command", nargs="*")
    options = made.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if options.preset is None:
        report(options, watch(options.command or ["dvc", "repro"], Path.cwd(), options.interval))
        return
    overrides = options.preset.read_text("utf-8").split()
    with tempfile.TemporaryDirectory() as folder:
        report(options, watch(["dvc", "exp", "run", *overrides], clone(Path(folder)), options.interval))


if __name__ == "__main__":
    main()
