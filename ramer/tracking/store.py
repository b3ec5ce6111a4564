"""The MLflow store: where it is, first contact without a race, and faults told apart from our own."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy.exc
from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from ramer.credentials import without_credentials
from ramer.errors import in_one_line
from ramer.mlflow_address import (
    defaults,
    is_of_object_store,
    is_server,
    main_workspace,
    sqlite_fault,
    sqlite_file,
    tracking_uri,
)
from ramer.project import Project
from ramer.tracking.patience import OverdueError, Waiting, probe
from ramer.tracking.sqlite_store import StoreError, make_ready

log = logging.getLogger(__name__)

__all__ = ["Store", "StoreError", "open_client", "open_store", "tracking_uri"]

_SILENT_SECONDS, _LOCK_SECONDS = 15.0, 600.0
_TIMEOUT_SECONDS = 600.0
_COLLISION_SECONDS = (1.0, 2.0, 4.0, 8.0)
# Without the first the UI opens the experiment as one of prompts and traces.
_UI_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": (
        "Each run at the top is one state of the pipeline: a workspace or a DVC experiment. Below it lies one run per "
        "method, with metrics named `condition/metric`; the letters of a condition say what is available "
        "(audio, video, text), and `avg6` is the mean of the six conditions in which something is missing."
    ),
}
# A server that is slow is waited for, one that is down is found out before. What the user has set wins.
_FIRST_CONTACT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
_AFTERWARDS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
# What requests raises is an OSError, as is a full disk.
_FAULTS = (MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError)


@dataclass(frozen=True)
class Store:
    """An open store.

    Attributes:
        waiting: takes the words for what is being done.
    """

    client: MlflowClient
    experiment_id: str
    waiting: Waiting


@contextlib.contextmanager
def open_store(
    experiment: str, environment: Mapping[str, str], root: Path, *, timeout_s: float = _TIMEOUT_SECONDS
) -> Iterator[Store]:
    """A client and the experiment's id, for one process at a time.

    Two that log the same experiment would each find the other's unfinished run, and a SQLite file takes one writer:
    so all who use one file wait for each other, whatever their workspace, and with another store all of one workspace.

    Args:
        timeout_s: seconds after which the work is given up, the wait for others not counted.

    Raises:
        StoreError: the store is unreachable, it failed while the body used it, or the time was over.
    """
    _quieten("alembic", "boto3", "botocore", "mlflow", "urllib3")
    main = main_workspace(environment, root)
    uri = tracking_uri(environment, root)
    waiting = Waiting(without_credentials(uri, environment), timeout_s)
    try:
        with _lock(uri, main), waiting.limited():
            # MLflow names relative folders after the directory it starts in.
            with defaults(_FIRST_CONTACT), contextlib.chdir(main):
                store = _connect(uri, experiment, main, waiting)
            with defaults(_AFTERWARDS):
                yield store
    except OverdueError as error:
        raise StoreError(
            f"{waiting.doing}: not done after {timeout_s:.0f} s, which tracking.timeout_s allows; what has been "
            "logged is kept, a retry goes on from there"
        ) from error
    except Exception as error:
        _raise_told(error, environment)
        raise


@contextlib.contextmanager
def open_client(environment: Mapping[str, str], root: Path) -> Iterator[MlflowClient]:
    """A client of a store that is there already, for what needs no experiment.

    Raises:
        StoreError: the store is unreachable, refuses, or is a SQLite file that does not exist.
    """
    _quieten("alembic", "boto3", "botocore", "mlflow", "urllib3")
    uri = tracking_uri(environment, root)
    if fault := sqlite_fault(uri):
        raise StoreError(fault)
    try:
        with defaults(_AFTERWARDS):
            yield MlflowClient(tracking_uri=uri)
    except Exception as error:
        _raise_told(error, environment)
        raise


def _connect(uri: str, experiment: str, main: Path, waiting: Waiting) -> Store:
    database = sqlite_file(uri)
    if database is None:
        probe(uri)
    else:
        make_ready(database)
    artifacts = None if is_server(uri) else (main if database is None else database.parent) / "mlartifacts"
    for seconds in _COLLISION_SECONDS:
        try:
            client = MlflowClient(tracking_uri=uri)  # makes the tables
            return Store(client, _experiment(client, experiment, artifacts), waiting)
        except (MlflowException, sqlalchemy.exc.SQLAlchemyError) as error:
            if not _collides(error):
                raise
        time.sleep(seconds)
    client = MlflowClient(tracking_uri=uri)
    return Store(client, _experiment(client, experiment, artifacts), waiting)


def _experiment(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    """The id of the experiment, which is made if it is not there."""
    found = client.get_experiment_by_name(name)
    if found is None:
        beside = None if artifacts is None else (artifacts / quote(name, safe="")).as_uri()
        return str(client.create_experiment(name, beside, _UI_TAGS))
    if found.lifecycle_stage != LifecycleStage.ACTIVE:
        raise StoreError(
            f"experiment {name!r} was deleted; restore it with "
            f"mlflow experiments restore --experiment-id {found.experiment_id}, or set another tracking.experiment"
        )
    return str(found.experiment_id)


def _collides(error: BaseException) -> bool:
    """Whether somebody else made the same tables, or the same experiment, at the same moment."""
    if isinstance(error, MlflowException) and error.error_code == ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
        return True
    collisions = (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError)
    return isinstance(error, collisions) or isinstance(error.__cause__, collisions)


@contextlib.contextmanager
def _lock(uri: str, main: Path) -> Iterator[None]:
    database = sqlite_file(uri)
    if database is not None:
        path = database.with_name(f".{database.name}.lock")
    else:
        project = Project(main)
        path = (project.dvc / "tmp" if project.dvc.is_dir() else project.tracking) / "ramer-tracking.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=_SILENT_SECONDS)
    except Timeout:
        log.info("waiting for another process that logs to MLflow (%s)", path)
        try:
            lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            raise StoreError(f"{path} was held by another process for {_LOCK_SECONDS:.0f} s") from None
    try:
        yield
    finally:
        lock.release()


def _quieten(*names: str) -> None:
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # their errors come with tracebacks, and to us anyway


def _raise_told(error: Exception, environment: Mapping[str, str]) -> None:
    """Raise a fault of the store as one line; return from what is none."""
    if isinstance(error, _FAULTS) or is_of_object_store(error):
        raise StoreError(_one_line(error, environment)) from error
    if isinstance(error, ImportError):  # the driver of a database, or the client of an object store
        raise StoreError(f"{error}; install it beside ramer") from error


def _one_line(error: BaseException, environment: Mapping[str, str]) -> str:
    said = in_one_line(error) if isinstance(error, OSError) else " ".join(str(error).split())
    text = without_credentials(said or type(error).__name__, environment)
    return text if len(text) <= 300 else text[:297] + "..."
