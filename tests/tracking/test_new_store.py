"""The first moments of a SQLite store: interrupted, shared, on a full disk; and files that are none of ours."""

from __future__ import annotations

import contextlib
import logging
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ramer.files import read_json
from ramer.project import Project
from tests.support.disks import resize, small_disk
from tests.support.tracked import Workspace, start
from tests.support.tree import METHODS

_MAKE_TABLES = (
    "from mlflow.store.db import utils; utils._initialize_tables(utils.create_sqlalchemy_engine('sqlite:///mlflow.db'))"
)


@pytest.fixture
def untouched(workspace: Workspace) -> Workspace:
    """A workspace whose store nobody has touched."""
    (workspace.root / "mlflow.db").unlink()
    return workspace


def interrupt(process: subprocess.Popen[str], folder: Path, with_signal: int) -> None:
    """Send a signal to a process as soon as it has made some of the tables in ``folder``."""
    deadline = time.monotonic() + 120
    while _size_of_stores(folder) < 300_000:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(with_signal)
    process.communicate(timeout=60)


def _size_of_stores(folder: Path) -> int:
    size = 0
    for path in folder.glob("*mlflow.db*"):
        with contextlib.suppress(FileNotFoundError):  # a journal comes and goes
            size += path.stat().st_size
    return size


def assert_logged(workspace: Workspace) -> None:
    assert read_json(workspace.receipt)["logged"] is True
    assert workspace.run().info.status == "FINISHED"
    assert set(workspace.methods()) == set(METHODS)


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_first_run_ended_in_the_middle_is_made_good_by_the_next(untouched: Workspace, with_signal: int) -> None:
    process = start(untouched.root, {})
    interrupt(process, untouched.root, with_signal)
    assert process.returncode != 0
    assert not (untouched.root / "mlflow.db").exists()
    untouched.track()
    assert_logged(untouched)
    assert not list(untouched.root.glob(".mlflow.db.*.new*"))


def test_a_store_that_mlflow_left_half_made_is_put_aside_with_one_line(
    untouched: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(start(untouched.root, {}, "-c", _MAKE_TABLES), untouched.root, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        untouched.track()
    assert_logged(untouched)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith(f"warning: {untouched.root / 'mlflow.db'} was left half made")
    assert (untouched.root / "mlflow.db.broken1").is_file()


def test_an_empty_file_becomes_a_store(untouched: Workspace) -> None:
    (untouched.root / "mlflow.db").touch()
    untouched.track()
    assert_logged(untouched)


@pytest.mark.slow
def test_four_workspaces_may_touch_one_new_store_at_once(
    make_workspace: Callable[[str], Workspace], tmp_path: Path
) -> None:
    shared = tmp_path / "shared" / "mlflow.db"
    workspaces = [make_workspace(f"workspace{i}") for i in range(4)]
    names = [f"experiment{i}" for i in range(4)]
    started = [
        start(w.root, {"MLFLOW_TRACKING_URI": f"sqlite:///{shared}", "DVC_EXP_NAME": name})
        for w, name in zip(workspaces, names, strict=True)
    ]
    outcomes = [(process.communicate(timeout=400)[1], process.returncode) for process in started]
    assert [code for _, code in outcomes] == [0] * 4, outcomes
    assert [read_json(w.receipt)["logged"] for w in workspaces] == [True] * 4, outcomes
    found = Workspace(tmp_path, shared.parent).runs()
    assert sorted(str(run.info.run_name) for run in found) == names
    assert {run.info.status for run in found} == {"FINISHED"}


def test_a_disk_that_is_full_at_the_first_run_costs_one_warning_and_no_more(
    untouched: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "full", 400_000) as disk:
        uri = f"sqlite:///{disk / 'mlflow.db'}"
        with caplog.at_level(logging.WARNING):
            untouched.track(MLFLOW_TRACKING_URI=uri)
        (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert "NOT logged to MLflow" in line
        assert "disk" in line
        resize(disk, 100_000_000)
        untouched.track(MLFLOW_TRACKING_URI=uri)
        assert read_json(untouched.receipt)["logged"] is True
        (run,) = Workspace(untouched.root, disk).runs()
        assert run.info.status == "FINISHED"


def _other_version(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")


def _foreign(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_other_version, "mlflow db upgrade sqlite:///"),
        (_foreign, "holds tables that are none of MLflow's"),
        (lambda path: path.write_bytes(b"a picture of a cat" * 100), "file is not a database; restore it, or move it"),
    ],
    ids=["another version", "another program", "no database"],
)
def test_a_file_that_may_hold_something_is_left_as_it_is(
    workspace: Workspace, damage: Callable[[Path], object], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    start(workspace.root, {}).communicate(timeout=120)
    database = workspace.root / "mlflow.db"
    assert not list(workspace.root.glob("mlflow.db-*"))  # which would hold what the file does not
    damage(database)
    before = database.read_bytes()
    Project(workspace.root).report.write_text("<!doctype html><title>Another</title>", "utf-8")
    with caplog.at_level(logging.WARNING):
        workspace.track()
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said in line
    assert database.read_bytes() == before
    assert not list(workspace.root.glob("*.broken*"))
    assert read_json(workspace.receipt)["logged"] is False
