"""A workspace with results and an MLflow store, cheap enough for every test to have its own."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.registered import run_track
from tests.support.served_project import run_report
from tests.support.servers import mlflow_server
from tests.support.tracked import Workspace
from tests.support.tree import build


@pytest.fixture(scope="module")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(server_folder: Path) -> Iterator[str]:
    folder = server_folder
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
