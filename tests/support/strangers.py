"""Processes to which the permissions of files apply, whoever runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.closure import ROOT

# What lets root open every file.
_POWERS = "-dac_override,-dac_read_search,-fowner,-chown"
SOMEBODY = 12345  # a user that nobody is


def start_without_powers(folder: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    """A Python process in a folder as a user without root's rights over files; skips where root cannot give them up."""
    prefix = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("no command setpriv, with which root gives up its rights over files")
        prefix = ["setpriv", f"--bounding-set={_POWERS}"]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    given = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    return subprocess.Popen(
        [*prefix, sys.executable, *command],
        cwd=folder,
        env=inherited | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def give_away(folder: Path) -> None:
    """Make a folder and all below it somebody else's, who lets others read; skips where only root may do so."""
    if os.geteuid():
        pytest.skip("only root can make a folder somebody else's")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)
        path.chmod(0o755 if path.is_dir() else 0o644)


def take_back(folder: Path) -> None:
    """Undo ``give_away`` and ``lock``."""
    for path in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
        path.chmod(0o755 if path.is_dir() else 0o644)


def lock(folder: Path) -> None:
    """Let nobody write into a folder and what is below it."""
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
