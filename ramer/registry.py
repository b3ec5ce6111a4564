"""Where MLflow's store is, and models taken from its registry. Writing into it is ``ramer.tracking``'s."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from ramer.errors import ModelError

_SQLITE = "sqlite:///"
_SCHEME = "models:/"
# A server that is down must cost seconds. What the user has set wins.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}

# Read by MLflow when it is imported.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"


def main_workspace(environment: Mapping[str, str], root: Path) -> Path:
    """``DVC_ROOT``, which even in a temporary copy is the main workspace, else ``root``; absolute."""
    return Path(environment.get("DVC_ROOT") or root).resolve()


def tracking_uri(environment: Mapping[str, str], root: Path) -> str:
    """``MLFLOW_TRACKING_URI``, else a SQLite file in the main workspace.

    A relative SQLite path is taken from the main workspace: a temporary copy, which is deleted
    with everything in it, must not hold the store.
    """
    uri = environment.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}mlflow.db"
    if not uri.startswith(_SQLITE):
        return uri
    return f"{_SQLITE}{main_workspace(environment, root) / uri.removeprefix(_SQLITE)}"


def is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def sqlite_fault(uri: str) -> str | None:
    """Why a SQLite store cannot be read; None for one that can, or for another kind of store.

    MLflow would make an empty store where there is none, and try a broken one again for minutes.
    """
    if not uri.startswith(_SQLITE):
        return None
    database = Path(unquote(uri.removeprefix(_SQLITE)))
    if not database.is_file():
        return f"no MLflow store at {database}; run in the project, or set MLFLOW_TRACKING_URI"
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        return f"{database}: {error}"
    return None


def names_version(path: str | Path) -> bool:
    """Whether a path is no path but a registered model: ``models:/name@alias`` or ``models:/name/3``."""
    return str(path).startswith(_SCHEME)


@contextlib.contextmanager
def fetch_model(uri: str) -> Iterator[Path]:
    """A registered model's files in a folder that lasts as long as the context.

    The store is the one that ``mlflow.set_tracking_uri`` or ``MLFLOW_TRACKING_URI`` names, else ``mlflow.db`` of the
    project in the current directory.

    Raises:
        ModelError: there is no such store, model, version or alias.
    """
    import mlflow
    from mlflow import artifacts
    from mlflow.exceptions import MlflowException

    told = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    store = told or tracking_uri(os.environ, Path.cwd())
    if fault := sqlite_fault(store):
        raise ModelError(f"{uri}: {fault}")
    with tempfile.TemporaryDirectory(prefix="ramer-model-") as folder, defaults(_PATIENCE):
        try:
            got = artifacts.download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=store)
        except (MlflowException, OSError) as error:
            raise ModelError(f"{uri}: not in the registry at {store}: {' '.join(str(error).split())}") from None
        yield Path(got)


@contextlib.contextmanager
def defaults(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that the user has left unset; MLflow reads them at every request."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
