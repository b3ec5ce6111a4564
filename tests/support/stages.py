"""Stages as DVC starts them: processes of their own in a project."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.closure import ROOT
from tests.support.contents import contents
from tests.support.scarce import in_want_of

# A small project's stages with their items, in the order of the pipeline.
STAGES = ("prepare", "pretrain audio", "dump audio", "index audio", "retrieve audio", "train ramer", "evaluate ramer")

WRITTEN = ("data", "models", "results")


def start_stage(
    project: Path, stage: str, *, want: tuple[str, int] | None = None, **environment: str
) -> subprocess.Popen[str]:
    """A stage with its item.

    Args:
        want: as ``in_want_of`` takes it, if anything is scarce.
    """
    line = ("-m", f"stages.{stage.split()[0]}", *stage.split()[1:])
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    return subprocess.Popen(
        [sys.executable, *(in_want_of(*want, *line) if want else line)],
        cwd=project,
        env={**inherited, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outputs(project: Path) -> dict[str, bytes]:
    """Every file of the folders that stages write into, with its content."""
    return contents(project, *WRITTEN)


def run_stages(project: Path, stages: Sequence[str]) -> dict[str, float]:
    """Run stages one after another: how many seconds each of them took."""
    seconds = {}
    for stage in stages:
        started = time.monotonic()
        process = start_stage(project, stage)
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, (stage, errors)
        seconds[stage] = time.monotonic() - started
    return seconds
