"""A workspace with results and an MLflow store, cheap enough for every test to have its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from ramer.config import Config, load_config
from ramer.pipeline.track import track
from ramer.project import Project
from tests.support.closure import ROOT


@dataclass
class Workspace:
    """Results under ``root``, their store in ``main``."""

    root: Path
    main: Path

    @property
    def config(self) -> Config:
        return load_config(Project(self.root).params)

    @property
    def receipt(self) -> Path:
        return Project(self.root).receipt

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.main}/mlflow.db")

    def track(self, **environment: str) -> None:
        track(self.config, Project(self.root), {"DVC_ROOT": str(self.main), **environment})

    def runs(self, role: str = "experiment") -> list[Run]:
        return runs(self.client, role)

    def run(self) -> Run:
        (only,) = self.runs()
        return only

    def methods(self) -> dict[str, Run]:
        found = self.runs("method")
        by_name = {str(run.info.run_name): run for run in found}
        assert len(by_name) == len(found)
        return by_name


def runs(client: MlflowClient, role: str, experiment: str = "ramer") -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id], f"tags.`ramer.role` = '{role}'"))


def start(folder: Path, environment: Mapping[str, str], *command: str) -> subprocess.Popen[str]:
    """A Python process in a workspace, as DVC would start it."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    return subprocess.Popen(
        [sys.executable, *(command or ("-m", "stages.track"))],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
