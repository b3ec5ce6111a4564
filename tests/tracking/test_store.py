"""Where ``track`` logs to, what it survives, and what it leaves behind."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ramer.files import read_json
from ramer.pipeline.track import track
from ramer.project import Project
from ramer.tracking import experiment_link
from ramer.tracking.provenance import dvc_remote
from ramer.tracking.store import tracking_uri
from tests.support.servers import free_port
from tests.support.tracked import Workspace, runs, start
from tests.support.tree import METHODS, digests


@pytest.mark.slow
def test_a_server_holds_the_whole_experiment(workspace: Workspace, server: str, tmp_path: Path) -> None:
    for _ in range(2):
        workspace.track(MLFLOW_TRACKING_URI=server)
    assert read_json(workspace.receipt)["logged"] is True
    client = MlflowClient(server)
    (parent,) = runs(client, "experiment")
    children = {run.info.run_name: run for run in runs(client, "method")}
    assert set(children) == set(METHODS)
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}
    assert (
        children["ramer"].data.metrics["avt/uar"]
        == read_json(workspace.root / "results/methods/ramer/metrics.json")["avt/uar"]
    )
    assert len(client.get_metric_history(children["ramer"].info.run_id, "training/train_loss")) > 1
    path = "models/encoders/audio/fold0_seed0.safetensors"
    fetched = Path(client.download_artifacts(parent.info.run_id, path, str(tmp_path)))
    assert fetched.read_bytes() == (workspace.root / path).read_bytes()
    link = experiment_link("ramer", {"MLFLOW_TRACKING_URI": server}, workspace.root, "http://127.0.0.1:5000")
    assert link == f"{server}/#/experiments/{parent.info.experiment_id}/runs?workflowType=machine_learning"


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "http://name.invalid:{port}"])
def test_a_server_that_is_down_costs_seconds_and_one_warning(workspace: Workspace, address: str) -> None:
    uri = address.format(port=free_port())
    process = start(workspace.root, {"MLFLOW_TRACKING_URI": uri})
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    (line,) = errors.strip().splitlines()
    assert line.startswith(f"warning: NOT logged to MLflow at {uri}: ")
    assert line.endswith("dvc repro -f -s track")
    receipt = read_json(workspace.receipt)
    assert (receipt["logged"], receipt["reason"]) == (False, "the tracking store failed")
    started = time.monotonic()
    workspace.track(MLFLOW_TRACKING_URI=uri)  # in this process, which has MLflow imported
    assert time.monotonic() - started < 20
    workspace.track()
    assert workspace.run().info.status == "FINISHED"
    assert read_json(workspace.receipt) == {"digest": receipt["digest"], "logged": True}


def test_a_database_that_cannot_be_opened_costs_one_warning(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    (workspace.root / "taken").write_text("a file where a folder should be", "utf-8")
    with caplog.at_level(logging.WARNING):
        workspace.track(MLFLOW_TRACKING_URI="sqlite:///taken/mlflow.db")
    assert "NOT logged to MLflow" in caplog.text
    assert read_json(workspace.receipt)["logged"] is False


def test_an_address_that_cannot_be_read_costs_one_warning_without_its_password(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        workspace.track(MLFLOW_TRACKING_URI="http://[me:w0rd@127.0.0.1")
    assert "NOT logged to MLflow" in caplog.text
    assert "its address cannot be read" in caplog.text
    assert "w0rd" not in caplog.text
    assert read_json(workspace.receipt)["logged"] is False


def test_an_experiment_deleted_in_the_ui_is_not_revived(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    workspace.client.delete_experiment(workspace.client.create_experiment("ramer"))
    workspace.track()
    assert "mlflow experiments restore" in caplog.text
    assert read_json(workspace.receipt)["logged"] is False


def test_nothing_is_logged_or_imported_when_tracking_is_off(workspace: Workspace) -> None:
    params = workspace.root / "params.yaml"
    params.write_text(params.read_text("utf-8") + "tracking: {enabled: false}\n", "utf-8")
    shutil.rmtree(workspace.root / ".tracking", ignore_errors=True)
    code = (
        "import os, sys;"
        "from ramer.config import load_config; from ramer.pipeline.track import track;"
        "from ramer.project import Project; track(load_config(), Project(), os.environ);"
        "sys.exit('mlflow' in sys.modules)"
    )
    process = start(workspace.root, {}, "-c", code)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    receipt = read_json(workspace.receipt)
    assert (receipt["logged"], receipt["reason"]) == (False, "tracking.enabled is false")
    assert workspace.runs() == []


def test_a_temporary_copy_logs_into_the_main_workspace(workspace: Workspace, tmp_path: Path) -> None:
    copy = tmp_path / "temporary copy"
    kept = shutil.ignore_patterns("mlflow.db", ".dvc")
    shutil.copytree(workspace.root, copy, ignore=kept)
    before = digests(copy)
    process = start(
        copy,
        {
            "DVC_ROOT": str(workspace.root),
            "DVC_EXP_NAME": "loamy-lynx",
            "DVC_EXP_BASELINE_REV": "b" * 40,
            "DVC_STAGE": "track",
            # Left over from whatever started the shell; it would send every call to a run that does not exist.
            "MLFLOW_RUN_ID": "0" * 32,
        },
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert digests(copy).keys() - before.keys() == {".tracking/receipt.json"}
    run = workspace.run()
    assert run.info.run_name == "loamy-lynx"
    shutil.rmtree(copy)
    assert run.info.artifact_uri.startswith((workspace.root / "mlartifacts").as_uri())
    assert workspace.client.download_artifacts(run.info.run_id, "results/report.html", str(tmp_path))
    assert not (workspace.root / "mlruns").exists()


@pytest.mark.slow
def test_four_processes_may_touch_a_new_store_at_once(
    make_workspace: Callable[[str], Workspace], tmp_path: Path
) -> None:
    main = make_workspace("main")
    (main.root / "mlflow.db").unlink()
    copies = [tmp_path / f"copy{i}" for i in range(4)]
    for copy in copies:
        shutil.copytree(main.root, copy)
    # The last two are one experiment, as when a queue retries: it must not be logged twice.
    names = ["first", "second", "third", "third"]
    started = [
        start(copy, {"DVC_ROOT": str(main.root), "DVC_EXP_NAME": name, "DVC_EXP_BASELINE_REV": "b" * 40})
        for copy, name in zip(copies, names, strict=True)
    ]
    outcomes = [(process.communicate(timeout=240)[1], process.returncode) for process in started]
    assert [code for _, code in outcomes] == [0, 0, 0, 0], outcomes
    assert [read_json(copy / ".tracking/receipt.json")["logged"] for copy in copies] == [True] * 4, outcomes
    assert sorted(str(run.info.run_name) for run in main.runs()) == ["first", "second", "third"]
    assert len(main.runs("method")) == 3 * len(METHODS)
    assert all(run.info.status == "FINISHED" for run in (*main.runs(), *main.runs("method")))


def test_a_receipt_is_the_same_in_every_clone(make_workspace: Callable[[str], Workspace]) -> None:
    one, other = make_workspace("one"), make_workspace("other")
    one.track()
    other.track(DVC_EXP_NAME="loamy-lynx")
    assert one.receipt.read_bytes() == other.receipt.read_bytes()
    (other.root / "results/report.html").write_text("<!doctype html><title>Another</title>", "utf-8")
    other.track()
    assert one.receipt.read_bytes() != other.receipt.read_bytes()


def test_the_link_leads_to_the_runs_of_the_experiment(workspace: Workspace) -> None:
    link = experiment_link("ramer", {}, workspace.root, "http://127.0.0.1:5000/")
    workspace.track()
    experiment = workspace.run().info.experiment_id
    assert link == f"http://127.0.0.1:5000/#/experiments/{experiment}/runs?workflowType=machine_learning"


def test_the_link_is_printed_alone(workspace: Workspace) -> None:
    process = start(workspace.root, {}, "-m", "ramer.tracking", "ui")
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert printed == experiment_link("ramer", {}, workspace.root, "http://127.0.0.1:5000") + "\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "sqlite:///{main}/mlflow.db"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///lab.db"}, "sqlite:///{main}/lab.db"),
        ({"MLFLOW_TRACKING_URI": "sqlite:////lab.db"}, "sqlite:////lab.db"),
        ({"MLFLOW_TRACKING_URI": "https://lab.example"}, "https://lab.example"),
    ],
)
def test_a_relative_store_belongs_to_the_main_workspace(tmp_path: Path, given: dict[str, str], expected: str) -> None:
    environment = {"DVC_ROOT": str(tmp_path), **given}
    assert tracking_uri(environment, tmp_path / "copy") == expected.format(main=tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[core]\n    analytics = false\n", None),
        ("[core]\n    remote = a\n['remote \"a\"']\n    url = s3://bucket/x\n", {"name": "a", "url": "s3://bucket/x"}),
        ("[core]\n    remote = a\n['remote \"a\"']\n    url = /srv/dvc\n", {"name": "a", "url": "/srv/dvc"}),
        (
            "[core]\n    remote = a\n['remote \"a\"']\n    url = ssh://me:word@host:22/x\n",
            {"name": "a", "url": "ssh://host:22/x"},
        ),
    ],
)
def test_the_remote_is_named_without_its_password(tmp_path: Path, text: str, expected: dict[str, str] | None) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(text, "utf-8")
    assert dvc_remote(tmp_path) == expected


def test_results_outside_a_repository_are_tracked_all_the_same(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".git")
    shutil.rmtree(workspace.root / ".dvc")
    track(workspace.config, Project(workspace.root), {})
    assert workspace.run().info.status == "FINISHED"
