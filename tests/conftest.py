"""Set before torch and FAISS are imported: tests measure behaviour, not the number of cores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tests.support.typechecker  # noqa: F401  # named in pyproject.toml, by a hook that does not import it
from ramer.project import Project
from tests.support.media import real_clip

if TYPE_CHECKING:
    from ramer.training.workspace import Workspace

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["MPLBACKEND"] = "agg"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def speech_clip() -> Path:
    return real_clip()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project whose pipeline has run; imported late, after the hook that checks shapes."""
    from tests.support.served_project import METHODS, build_project

    return build_project(tmp_path_factory.mktemp("served"), METHODS)


@pytest.fixture(scope="session")
def workspace_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project up to ``retrieve``: what every method is fitted on."""
    from tests.support.tiny_workspace import build_workspace, tiny_config

    root = tmp_path_factory.mktemp("workspace")
    build_workspace(tiny_config({"prior": {"type": "prior"}}), root)
    return root


@pytest.fixture(scope="session")
def workspace(workspace_root: Path) -> Workspace:
    from ramer.training.workspace import Workspace

    return Workspace(Project(workspace_root))
