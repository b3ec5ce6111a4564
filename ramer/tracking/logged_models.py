"""Models as MLflow 3 keeps them: a logged model of its own, with parameters and scores, which a run has as its output.

A store from before there were logged models gets the same files as artifacts of the run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND, NOT_FOUND, RESOURCE_DOES_NOT_EXIST, ErrorCode

from ramer.tracking.entities import METRICS_PER_CALL

log = logging.getLogger(__name__)

_SCHEME = "models:/"
_TOLD = "MLFLOW_TRACKING_URI"
_UNKNOWN = {ErrorCode.Name(code) for code in (ENDPOINT_NOT_FOUND, NOT_FOUND, RESOURCE_DOES_NOT_EXIST)}


@dataclass(frozen=True)
class LoggedFiles:
    """Where a model's files are in the store.

    Attributes:
        source: their address, which a version is made from.
        model_id: of the logged model; None where the store knows none.
    """

    source: str
    model_id: str | None


def log_model(
    client: MlflowClient,
    run: Run,
    folder: Path,
    name: str,
    *,
    below: str,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> LoggedFiles:
    """Keep a model's files as a logged model that is the run's output.

    Args:
        folder: with an MLflow model. name: that the UI shows.
        below: folder among the run's artifacts, for a store that knows no logged models.
        tags: of the model.
    """
    try:
        made = client.create_logged_model(
            run.info.experiment_id, name, run.info.run_id, dict(tags or {}), dict(params or {}), "classifier"
        )
    except MlflowException as error:
        if error.error_code not in _UNKNOWN:
            raise
        log.info("the MLflow server knows no logged models (it is older than MLflow 3): the run holds the model")
        client.log_artifacts(run.info.run_id, str(folder), below)
        return LoggedFiles(f"runs:/{run.info.run_id}/{below}", None)
    try:
        client.log_model_artifacts(made.model_id, str(folder))
    except BaseException:
        with contextlib.suppress(Exception):  # the store may be what failed; the first fault is the one to report
            client.delete_logged_model(made.model_id)
        raise
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    return LoggedFiles(f"{_SCHEME}{made.model_id}", str(made.model_id))


def link_model(client: MlflowClient, run: Run, model_id: str, metrics: Sequence[Metric] = ()) -> None:
    """Make a logged model the run's output, and scores of the run the model's.

    Args:
        metrics: of the run, which name the model and the data set that they were measured on; none of a model that was
            not scored itself.
    """
    try:
        held = client.get_run(run.info.run_id).outputs
        if held is None or model_id not in {output.model_id for output in held.model_outputs}:
            client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, 0)])
        for start in range(0, len(metrics), METRICS_PER_CALL):
            client.log_batch(run.info.run_id, metrics[start : start + METRICS_PER_CALL])
    except MlflowException as error:
        if error.error_code not in _UNKNOWN:
            raise
        log.info("the logged model %s is gone: its scores are the run's alone", model_id)


def take_up_model(client: MlflowClient, run: Run, tag: str, value: str) -> LoggedFiles | None:
    """What an interrupted call for this run has left: the whole model with a tag; one without all of its files goes."""
    try:
        found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    except MlflowException as error:
        if error.error_code not in _UNKNOWN:
            raise
        return None
    whole = None
    for model in found:
        if model.status != LoggedModelStatus.READY:
            client.delete_logged_model(model.model_id)
        elif model.tags.get(tag) == value:
            whole = LoggedFiles(f"{_SCHEME}{model.model_id}", str(model.model_id))
    return whole


def model_id_of(version: ModelVersion) -> str | None:
    """The logged model that a version was made from; None of one whose files lie below a run."""
    named = re.fullmatch(rf"{_SCHEME}(m-\w+)", version.source or "")
    return named[1] if named else None


@contextlib.contextmanager
def global_store(client: MlflowClient) -> Iterator[None]:
    """Make a client's store the global one for a while: a registry in a database looks for logged models there."""
    told = os.environ.get(_TOLD)
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(client.tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None if before == told else before)  # type: ignore[arg-type]  # None unsets it
        if told is not None:
            os.environ[_TOLD] = told
