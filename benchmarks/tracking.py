"""What logging an experiment to MLflow costs beside what MLflow costs before anything is logged.

In fresh processes, in turn: ``import mlflow``; that and first contact with a SQLite store (new, or one that holds the
runs of earlier repeats); our whole stage ``track`` for a parent and eight methods of a tiny project, without and with
the registration of its model. Prints JSON: median seconds.

    python -m benchmarks.tracking [--repeats 3]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._run import ROOT, parser, report
from ramer.project import Project
from tests.support.served_project import build_project, run_report

METHODS = {"ramer": {"type": "ramer"}} | {f"zero_fill_{i}": {"type": "zero_fill"} for i in range(7)}
IMPORT = "from mlflow import MlflowClient"
CONTACT = IMPORT + "; MlflowClient(tracking_uri='sqlite:///{}').search_experiments()"


def timed(folder: Path, *command: str) -> float:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "DVC_ROOT": str(folder),
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - start


def change(project: Path, registration: str) -> None:
    """Another result, so that there is something to log."""
    table, params = Project(project).summary, Project(project).params
    table.write_text(table.read_text("utf-8").replace("{", "{" + f'"at": {time.monotonic()}, ', 1), "utf-8")
    settings = json.loads(params.read_text("utf-8"))
    settings["serve"]["registration"] = registration
    params.write_text(json.dumps(settings), "utf-8")


def main() -> None:
    options = parser(__doc__, repeats=3).parse_args()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        run_report(build_project(root / "project", METHODS))
        for repeat in range(options.repeats):
            fresh, known = root / f"new{repeat}.db", root / "known.db"
            runs = {
                "import": ("-c", IMPORT),
                "contact_new_store": ("-c", CONTACT.format(fresh)),
                "contact_known_store": ("-c", CONTACT.format(known)),
                "track_new_store" if repeat == 0 else "track": ("-m", "stages.track"),
                "track_registering": ("-m", "stages.track"),
            }
            for run, command in runs.items():
                change(root / "project", registration="always" if run == "track_registering" else "never")
                seconds.setdefault(run, []).append(timed(root / "project", *command))
    medians = {run: statistics.median(values) for run, values in seconds.items()}
    medians["contact_known_store"] = min(seconds["contact_known_store"])  # the first of them made the store
    figures = {
        "methods": len(METHODS),
        "seconds": medians,
        "over_bare_contact": medians["track"] / np.float64(medians["contact_known_store"]).item(),
    }
    report(options, figures)


if __name__ == "__main__":
    main()
