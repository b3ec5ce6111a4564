"""An S3-compatible store that dies while files go into it, as DVC's remote and as the place of a run's files."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ramer.files import read_json
from tests.campaign.attacking import Attack, lines_of
from tests.support.clone import Clone, copied
from tests.support.contents import contents
from tests.support.s3 import ObjectStore, object_store, require_object_store
from tests.support.servers import free_port
from tests.support.tracked import Workspace, start

pytestmark = pytest.mark.campaign

_ONCE = {"AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A small clone with two outputs of its pipeline."""
    clone = Clone.create(tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("home"))
    clone.run("dvc", "repro", "prepare")
    return clone


def _dying(folder: Path, port: int, seconds: float) -> threading.Thread:
    """A store that is up when this returns, and ends after so many seconds with all that it held."""
    up = threading.Event()

    def live() -> None:
        with object_store(folder, port):
            up.set()
            time.sleep(seconds)

    thread = threading.Thread(target=live)
    thread.start()
    up.wait(timeout=120)
    return thread


def test_a_remote_that_dies(attack: Callable[..., Attack], ran: Clone, tmp_path: Path) -> None:
    require_object_store("dvc_s3")
    one = attack("dvc push to S3 that dies, and again, and pull", 5, 1, minutes=1.5)
    for rng in one.attempts():
        clone, port = copied(ran, tmp_path / f"clone{one.tried}"), free_port()
        clone.environment |= ObjectStore(f"http://127.0.0.1:{port}").environment | _ONCE
        clone.run("dvc", "remote", "add", "--default", "lab", "s3://ramer/dvc")
        clone.run("dvc", "remote", "modify", "lab", "endpointurl", f"http://127.0.0.1:{port}")
        whole = contents(clone.path, "data")
        dying = _dying(tmp_path, port, rng.uniform(1, 8))
        clone.attempt("dvc", "push")
        dying.join()
        with object_store(tmp_path, port):
            clone.run("dvc", "push")
            shutil.rmtree(clone.path / ".dvc" / "cache")
            shutil.rmtree(clone.path / "data")
            pulled = clone.attempt("dvc", "pull", "--allow-missing")
        if contents(clone.path, "data") == whole:
            one.right += 1
        else:
            one.went_wrong(pulled.output[-400:])
        shutil.rmtree(clone.path)


def test_files_of_a_run_in_a_store_that_dies(
    attack: Callable[..., Attack], make_workspace: Callable[[str], Workspace], tmp_path: Path
) -> None:
    require_object_store()
    one = attack("runs whose files go into S3 that dies", 5, 1, minutes=1.5)
    for rng in one.attempts():
        workspace, port = make_workspace(f"workspace{one.tried}"), free_port()
        workspace.client.create_experiment("ramer", "s3://ramer/runs")
        environment = ObjectStore(f"http://127.0.0.1:{port}").environment | _ONCE
        _attempt(rng, one, workspace, environment, tmp_path, port)


def _attempt(
    rng: random.Random, one: Attack, workspace: Workspace, environment: dict[str, str], folder: Path, port: int
) -> None:
    dying = _dying(folder, port, rng.uniform(1, 8))
    process = start(workspace.root, environment)
    errors = process.communicate(timeout=500)[1]
    dying.join()
    logged = read_json(workspace.receipt)["logged"]
    said = [line for line in lines_of(errors) if "NOT logged to MLflow" in line]
    if process.returncode or "Traceback" in errors or bool(said) == logged:
        one.went_wrong(f"exit {process.returncode}, logged {logged}: {errors[-400:]}")
        return
    with object_store(folder, port):
        process = start(workspace.root, environment)
        errors = process.communicate(timeout=500)[1]
    if read_json(workspace.receipt)["logged"] is not True or workspace.run().info.status != "FINISHED":
        one.went_wrong(f"tried again: {errors[-400:]}")
    elif logged:
        one.right += 1
    else:
        one.refused += 1
