"""Run the tutorial in a copy of the project and keep its outputs.

python -m benchmarks.tutorial            # writes docs/tutorial.ipynb with what its cells gave
python -m benchmarks.tutorial --check    # runs it and writes nothing
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from benchmarks._run import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
SECONDS = 1800  # that one cell may take


def run(notebook: nbformat.NotebookNode, project: Path) -> None:
    """Run every cell in ``project``, as somebody who has cloned it; outputs are put into the notebook."""
    os.environ |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        os.environ.pop(name, None)
    where = {"metadata": {"path": str(project)}}
    client = NotebookClient(notebook, timeout=SECONDS, resources=where, coalesce_streams=True)
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day, which change with every run


def copy_project(to: Path) -> Path:
    """The working tree as git sees it, committed in a repository of its own."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and name != "dvc.lock" and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    for arguments in (
        ["init", "--quiet"],
        ["config", "user.name", "Somebody"],
        ["config", "user.email", "somebody@example.org"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "Start"],
    ):
        subprocess.run(["git", *arguments], cwd=to, check=True)
    return to


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the tutorial in a copy of the project.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked = parser.parse_args()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        run(notebook, copy_project(Path(folder)))
    if not asked.check:
        nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
