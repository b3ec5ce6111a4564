"""A workspace whose ``track`` may open few files, or whose quota is used up: told in one line, logged by the next."""

from __future__ import annotations

import pytest

from ramer.files import read_json
from tests.support.scarce import in_want_of
from tests.support.tracked import Workspace, start

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("want", "said"),
    [
        (("files", 1), "Too many open files"),
        (("files", 4), "Too many open files"),
        (("quota", 0), "Disk quota exceeded"),
    ],
)
def test_track_in_want_of_files(workspace: Workspace, want: tuple[str, int], said: str) -> None:
    line = in_want_of(*want, "-m", "stages.track")
    process = start(workspace.root, {"PYTHONDONTWRITEBYTECODE": "1"}, *line)
    errors = process.communicate(timeout=300)[1]
    assert process.returncode in (0, 2), errors
    lines = errors.strip().splitlines()
    assert all(said in line for line in lines), errors
    assert all(line.startswith("error: ") or "NOT logged to MLflow" in line for line in lines), errors
    assert lines
    errors = start(workspace.root, {}).communicate(timeout=300)[1]
    assert read_json(workspace.receipt)["logged"] is True, errors
    assert "FINISHED" in {run.info.status for run in workspace.runs()}
