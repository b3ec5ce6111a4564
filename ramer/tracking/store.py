"""The MLflow store: where it is, first contact without a race, and faults told apart from our own."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import sqlalchemy.exc
from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException

from ramer.errors import RamerError
from ramer.registry import defaults, is_server, main_workspace, sqlite_fault, tracking_uri

log = logging.getLogger(__name__)

__all__ = ["Store", "StoreError", "is_server", "open_client", "open_store", "tracking_uri"]

_SQLITE = "sqlite:///"
_LOCK_SECONDS = 600.0
# Without the first the UI opens the experiment as one of prompts and traces.
_UI_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": (
        "Each run at the top is one state of the pipeline: a workspace or a DVC experiment. Below it lies one run per "
        "method, with metrics named `condition/metric`; the letters of a condition say what is available "
        "(audio, video, text), and `avg6` is the mean of the six conditions in which something is missing."
    ),
}
# A server that is down must cost seconds, a slow upload must not be cut off. What the user has set wins.
_FIRST_CONTACT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_AFTERWARDS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
# What requests raises is an OSError, as is a full disk.
_FAULTS = (MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError)


class StoreError(RamerError):
    """The tracking store is unreachable or refuses to work."""


@dataclass(frozen=True)
class Store:
    client: MlflowClient
    experiment_id: str


@contextlib.contextmanager
def open_store(experiment: str, environment: Mapping[str, str], root: Path) -> Iterator[Store]:
    """A client and the experiment's id, for one process of this workspace at a time.

    Four processes that first touch a new SQLite store at once break it, and two that log the same
    experiment would each find the other's unfinished run; both take seconds, so both wait here.

    Raises:
        StoreError: the store is unreachable, or it failed while the body used it.
    """
    _quieten("alembic", "mlflow", "urllib3")
    main = main_workspace(environment, root)
    uri = tracking_uri(environment, root)
    try:
        with _lock(main):
            # MLflow names relative folders after the directory it starts in.
            with defaults(_FIRST_CONTACT), contextlib.chdir(main):
                store = _connect(uri, experiment, main)
            with defaults(_AFTERWARDS):
                yield store
    except _FAULTS as error:
        raise StoreError(_one_line(error)) from error


@contextlib.contextmanager
def open_client(environment: Mapping[str, str], root: Path) -> Iterator[MlflowClient]:
    """A client of a store that is there already, for what needs no experiment.

    Raises:
        StoreError: the store is unreachable, refuses, or is a SQLite file that does not exist.
    """
    _quieten("alembic", "mlflow", "urllib3")
    uri = tracking_uri(environment, root)
    if fault := sqlite_fault(uri):
        raise StoreError(fault)
    try:
        with defaults(_AFTERWARDS):
            yield MlflowClient(tracking_uri=uri)
    except _FAULTS as error:
        raise StoreError(_one_line(error)) from error


def _connect(uri: str, experiment: str, main: Path) -> Store:
    database = Path(unquote(uri.removeprefix(_SQLITE))) if uri.startswith(_SQLITE) else None
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(database)) as connection:  # MLflow would retry a bad path for hours
            connection.execute("PRAGMA journal_mode=WAL")
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        beside = (database.parent if database is not None else main) / "mlartifacts" / quote(experiment, safe="")
        experiment_id = client.create_experiment(experiment, None if is_server(uri) else beside.as_uri(), _UI_TAGS)
    elif found.lifecycle_stage != LifecycleStage.ACTIVE:
        raise StoreError(
            f"experiment {experiment!r} was deleted; restore it with "
            f"mlflow experiments restore --experiment-id {found.experiment_id}, or set another tracking.experiment"
        )
    else:
        experiment_id = found.experiment_id
    return Store(client, experiment_id)


@contextlib.contextmanager
def _lock(main: Path) -> Iterator[None]:
    folder = main / ".dvc" / "tmp" if (main / ".dvc").is_dir() else main / ".tracking"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "ramer-tracking.lock")
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        raise StoreError(f"{lock.lock_file} was held by another process for {_LOCK_SECONDS:.0f} s") from None
    try:
        yield
    finally:
        lock.release()


def _quieten(*names: str) -> None:
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
