"""Where MLflow's store is: its address, and the environment that MLflow reads; imports nothing of MLflow."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from ramer.project import Project

_SQLITE = "sqlite:///"
_SCHEME = "models:/"
_lent: set[str] = set()
# Packages of object stores' clients; none of them need be installed.
_CLIENTS = ("azure", "boto3", "botocore", "google", "paramiko", "s3transfer", "urllib3")

# Read by MLflow when it is imported.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # which would show a password in the address


def main_workspace(environment: Mapping[str, str], root: Path) -> Path:
    """``DVC_ROOT``, which even in a temporary copy is the main workspace, else ``root``; absolute."""
    return Path(environment.get("DVC_ROOT") or root).resolve()


def tracking_uri(environment: Mapping[str, str], root: Path) -> str:
    """``MLFLOW_TRACKING_URI``, else a SQLite file in the main workspace. It may hold a password: never show it.

    A relative SQLite path is taken from the main workspace: a temporary copy, which is deleted
    with everything in it, must not hold the store.
    """
    main = main_workspace(environment, root)
    uri = environment.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{Project(main).mlflow_store}"
    return f"{_SQLITE}{main / uri.removeprefix(_SQLITE)}" if uri.startswith(_SQLITE) else uri


def is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for another kind of store."""
    return Path(unquote(uri.removeprefix(_SQLITE))) if uri.startswith(_SQLITE) else None


def sqlite_fault(uri: str) -> str | None:
    """Why a SQLite store cannot be read; None for one that can, or for another kind of store.

    MLflow would make an empty store where there is none, and try a broken one again for minutes.
    """
    database = sqlite_file(uri)
    if database is None:
        return None
    if not database.is_file():
        return f"no MLflow store at {database}; run in the project, or set MLFLOW_TRACKING_URI"
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        return f"{database}: {error}"
    return None


def is_of_object_store(error: BaseException) -> bool:
    """Whether the client of an object store raised it, which MLflow passes on as it is."""
    return type(error).__module__.partition(".")[0] in _CLIENTS


def names_version(path: str | Path) -> bool:
    """Whether a path is no path but a registered model: ``models:/name@alias`` or ``models:/name/3``."""
    return str(path).startswith(_SCHEME)


@contextlib.contextmanager
def defaults(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that the user has left unset; MLflow reads them at every request.

    What an outer ``defaults`` has set is none of the user's: an inner one may change it.
    """
    ours = [name for name in values if name not in os.environ or name in _lent]
    before = {name: os.environ.get(name) for name in ours}
    added = set(ours) - _lent
    os.environ.update({name: values[name] for name in ours})
    _lent.update(added)
    try:
        yield
    finally:
        _lent.difference_update(added)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
