"""Projects whose model is in a registry, and a server that answers with it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ramer.config import load_config
from ramer.pipeline.track import track
from ramer.project import Project
from tests.support.servers import mlflow_server


def run_track(root: Path, main: Path | None = None, **changes: dict[str, Any]) -> None:
    """Track a project, with changed sections of its parameters."""
    project = Project(root)
    params = json.loads(project.params.read_text("utf-8"))
    for section, values in changes.items():
        params[section] |= values
    project.params.write_text(json.dumps(params), "utf-8")
    track(load_config(project.params), project, {"DVC_ROOT": str(main or root)})


def client_of(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root}/mlflow.db")


def versions(root: Path) -> list[ModelVersion]:
    return sorted(client_of(root).search_model_versions("name = 'ramer'"), key=lambda v: int(v.version))


@contextlib.contextmanager
def serving(root: Path) -> Iterator[str]:
    """``mlflow models serve`` of a project's candidate on loopback, as a user starts it: where to ask."""
    folder = root / "server"
    folder.mkdir()
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlflow.db",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = ["models", "serve", "--model-uri", "models:/ramer@candidate", "--env-manager", "local"]
    with mlflow_server(*command, health="/ping", folder=folder, seconds=180, **environment) as address:
        yield f"{address}/invocations"


def ask(url: str, **body: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


def records(features: dict[str, np.ndarray]) -> list[dict[str, list[float] | None]]:
    """Rows as JSON writes them: null for what is missing."""
    rows = range(len(next(iter(features.values()))))
    return [{m: None if np.isnan(v[row]).all() else v[row].tolist() for m, v in features.items()} for row in rows]


def probabilities(answers: list[dict[str, Any]], labels: tuple[str, ...]) -> np.ndarray:
    return np.array([[answer[f"p/{label}"] for label in labels] for answer in answers])
