"""What DVC itself takes: ``dvc repro`` when nothing has changed, at this pipeline's size and at fifty stages.

A copy of ``dvc.yaml`` and ``params.yaml`` whose commands write stand-ins of their outputs is run once, so that graph,
dependencies and parameters are those of the project but no model is trained. Then ``dvc repro`` with nothing to do is
timed in turn with the same in an empty DVC project (the limit: importing DVC and reading its configuration) and with
``ramer --help``. Prints JSON: median seconds of each.

    python -m benchmarks.pipeline [--repeats 5] [--stages 50]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks._run import ROOT, parser, report, say
from ramer.project import Project

BINARIES = Path(sys.executable).parent
COPIED = ("ramer", "stages")


def environment() -> dict[str, str]:
    path = f"{BINARIES}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))}
    return kept | {"PATH": path, "DVC_NO_ANALYTICS": "1"}


def call(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def make_empty(folder: Path) -> None:
    folder.mkdir()
    call(folder, "git", "init", "--quiet")
    call(folder, "dvc", "init", "--quiet")
    for option in ("core.analytics", "core.check_update"):
        call(folder, "dvc", "config", option, "false")
    Project(folder).pipeline.write_text("stages: {}\n")


def make_project(folder: Path, stages: int) -> int:
    """The project's graph with stand-ins for its outputs, grown to about so many stages; returns how many it has."""
    make_empty(folder)
    yaml = YAML()
    params, pipeline = (yaml.load((ROOT / name).read_text("utf-8")) for name in ("params.yaml", "dvc.yaml"))
    number = count_stages(pipeline, params)
    for extra in range(max(0, (stages - number) // 2)):  # train and evaluate
        params["methods"][f"extra_{extra}"] = {"type": "prior"}
    for stage in pipeline["stages"].values():
        inner = stage.get("do", stage)
        inner["cmd"] = stand_in(inner)
    for name, content in (("params.yaml", params), ("dvc.yaml", pipeline)):
        with open(folder / name, "w", encoding="utf-8") as file:
            yaml.dump(content, file)
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".dvcignore", folder)
    call(folder, "dvc", "repro", "--quiet")
    call(folder, "dvc", "repro", "--quiet")
    return count_stages(pipeline, params)


def count_stages(pipeline: Any, params: Any) -> int:
    items = [stage.get("foreach", [None]) for stage in pipeline["stages"].values()]
    return sum(len(params["methods"]) if isinstance(item, str) else len(item) for item in items)


def stand_in(stage: Any) -> str:
    """A command that writes every output as a small file, or as a folder that holds one."""
    outs = [name if isinstance(name, str) else next(iter(name)) for name in (*stage["outs"], *stage.get("metrics", ()))]
    parts = []
    for out in outs:
        if "." in out.rsplit("/", 1)[-1]:
            parts.append(f"mkdir -p $(dirname {out}) && echo '{{}}' > {out}")
        elif out == Project().code.as_posix():
            parts.append("python -m stages.check")  # other stages depend on single files of it
        else:
            parts.append(f"mkdir -p {out} && echo 1 > {out}/stand-in")
    return " && ".join(parts)


def timed(folder: Path, *command: str) -> float:
    start = time.perf_counter()
    call(folder, *command)
    return time.perf_counter() - start


def main() -> None:
    options = parser(__doc__, repeats=5, stages=50).parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_empty(root / "empty")
        numbers = {"default": make_project(root / "default", 0), "grown": make_project(root / "grown", options.stages)}
        say(f"stages: {numbers}")
        runs: dict[str, tuple[Path, list[str]]] = {
            "empty": (root / "empty", ["dvc", "repro"]),
            "default": (root / "default", ["dvc", "repro"]),
            "grown": (root / "grown", ["dvc", "repro"]),
            "dvc_version": (root / "empty", ["dvc", "--version"]),
            "ramer_help": (ROOT, [sys.executable, "-c", "from ramer.cli import app; app()", "--help"]),
        }
        seconds: dict[str, list[float]] = {run: [] for run in runs}
        for _ in range(options.repeats):
            for run, (folder, command) in runs.items():
                seconds[run].append(timed(folder, *command))
        medians = {run: statistics.median(values) for run, values in seconds.items()}
        figures = {
            "stages": numbers,
            "median_seconds": medians,
            "best_seconds": {run: min(values) for run, values in seconds.items()},
        }
    report(options, figures)


if __name__ == "__main__":
    main()
