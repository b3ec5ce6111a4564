"""The project that ``ramer tune`` works on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.tuned import PARAMS


@pytest.fixture
def project(workspace_root: Path, tmp_path: Path) -> Path:
    """A tiny project up to ``retrieve`` with parameters beside it."""
    root = tmp_path / "project"
    shutil.copytree(workspace_root, root)
    (root / "params.yaml").write_text(PARAMS, "utf-8")
    return root
