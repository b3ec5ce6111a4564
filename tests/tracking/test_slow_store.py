"""A server that is slow is waited for, with words and an end; one that hangs or fails is told."""

from __future__ import annotations

import logging
import time

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from ramer.files import read_json
from ramer.tracking import patience
from tests.support.servers import slowed
from tests.support.tracked import Workspace, runs, start
from tests.support.tree import METHODS


def runs_named(server: str, name: str) -> list[Run]:
    return [run for run in runs(MlflowClient(server), "experiment") if run.info.run_name == name]


def set_timeout(workspace: Workspace, seconds: float) -> None:
    params = workspace.root / "params.yaml"
    kept = params.read_text("utf-8").partition("tracking:")[0]
    params.write_text(f"{kept}tracking: {{timeout_s: {seconds}}}\n", "utf-8")


@pytest.mark.slow
def test_a_server_whose_first_answer_takes_long_is_logged_to(
    workspace: Workspace, server: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_SILENT_SECONDS", 2.0)
    with slowed(server, lambda number: 0.0 if number else 12.0) as address, caplog.at_level(logging.INFO):
        workspace.track(MLFLOW_TRACKING_URI=address, DVC_EXP_NAME="patient")
    assert read_json(workspace.receipt)["logged"] is True, caplog.text
    (run,) = runs_named(server, "patient")
    assert run.info.status == "FINISHED"
    assert f"logging to MLflow at {address}: first contact (" in caplog.text


def given_up(workspace: Workspace, address: str, timeout_s: float, experiment: str) -> str:
    """What is said of a store that was not done in time, long before the server would have been."""
    set_timeout(workspace, timeout_s)
    started = time.monotonic()
    process = start(workspace.root, {"MLFLOW_TRACKING_URI": address, "DVC_EXP_NAME": experiment})
    _, errors = process.communicate(timeout=300)
    assert time.monotonic() - started < 90
    assert process.returncode == 0, errors
    assert read_json(workspace.receipt)["logged"] is False
    *others, line = errors.strip().splitlines()
    assert all(other.startswith("logging to MLflow at ") for other in others), errors
    return line


@pytest.mark.slow
def test_a_server_that_is_too_slow_is_given_up_in_time_and_completed_by_a_retry(
    workspace: Workspace, server: str
) -> None:
    with slowed(server, lambda number: 0.0 if number < 25 else 3.0) as address:
        line = given_up(workspace, address, 10, "impatient")
    assert "not done after 10 s, which tracking.timeout_s allows" in line
    assert "a retry goes on from there" in line
    (left,) = runs_named(server, "impatient")
    assert left.info.status != "FINISHED"
    set_timeout(workspace, 600)
    workspace.track(MLFLOW_TRACKING_URI=server, DVC_EXP_NAME="impatient")
    (run,) = runs_named(server, "impatient")
    assert (run.info.run_id, run.info.status) == (left.info.run_id, "FINISHED")
    client = MlflowClient(server)
    children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert {child.info.run_name for child in children} == set(METHODS)
    assert {child.info.status for child in children} == {"FINISHED"}


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up_in_time(workspace: Workspace) -> None:
    with slowed("http://127.0.0.1:1", lambda _: 600.0) as address:
        assert "first contact: not done after 4 s" in given_up(workspace, address, 4, "never")
