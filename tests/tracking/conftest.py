"""A workspace with results and an MLflow store, cheap enough for every test to have its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from ramer.config import Config, load_config
from ramer.tracking import track
from tests.support.closure import ROOT
from tests.support.registered import run_track
from tests.support.served_project import run_report
from tests.support.servers import mlflow_server
from tests.support.tree import build


@dataclass
class Workspace:
    """Results under ``root``, their store in ``main``."""

    root: Path
    main: Path

    @property
    def config(self) -> Config:
        return load_config(self.root / "params.yaml")

    @property
    def receipt(self) -> Path:
        return self.root / ".tracking" / "receipt.json"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.main}/mlflow.db")

    def track(self, **environment: str) -> None:
        track(self.config, self.root, self.receipt, environment={"DVC_ROOT": str(self.main), **environment})

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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    with mlflow_server(
        "server", *stores, health="/health", folder=folder, seconds=90, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
    ) as address:
        yield address


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tables and nothing in them: MLflow takes seconds to make one."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return database


@pytest.fixture
def make_workspace(tmp_path: Path, new_store: Path) -> Callable[[str], Workspace]:
    def make(name: str) -> Workspace:
        root = tmp_path / name
        build(root)
        shutil.copy(new_store, root / "mlflow.db")
        return Workspace(root, root)

    return make


@pytest.fixture
def workspace(make_workspace: Callable[[str], Workspace]) -> Workspace:
    return make_workspace("main repository")


@pytest.fixture(scope="session")
def tracked(served: Path, new_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after ``track``: its model is in the registry."""
    root = tmp_path_factory.mktemp("tracked") / "project"
    shutil.copytree(served, root)
    shutil.copy(new_store, root / "mlflow.db")
    run_report(root)
    run_track(root)
    return root


@pytest.fixture
def copied(tracked: Path, new_store: Path, tmp_path: Path) -> Path:
    """The same project with an empty store."""
    root = tmp_path / "copy"
    shutil.copytree(tracked, root, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    shutil.copy(new_store, root / "mlflow.db")
    return root
