"""Processes ended at any moment: what was there stays, nothing is half written, and running again makes it whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ramer.files import read_json
from tests.campaign.attacking import Attack, end
from tests.support.disks import fill, make_read_only, small_disk
from tests.support.stages import STAGES, outputs, run_stages, start_stage
from tests.support.tracked import Workspace, start
from tests.support.tree import METHODS

pytestmark = pytest.mark.campaign


def test_stages_that_are_killed(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("stages, killed at a random moment", 30, 2, minutes=2.0)
    stages = list(STAGES) if one.whole else ["index audio", "train ramer"]
    project = shutil.copytree(served, tmp_path / "project")
    seconds, whole = run_stages(project, stages), outputs(project)
    for rng in one.attempts():
        stage = rng.choice(stages)
        end(start_stage(project, stage), seconds[stage] * rng.uniform(0.3, 1.1), rng)
        if outputs(project) != whole:
            one.went_wrong(f"{stage}: something else lies there")
        process = start_stage(project, stage)
        _, errors = process.communicate(timeout=300)
        if process.returncode == 0 and outputs(project) == whole:
            one.right += 1
        else:
            one.went_wrong(f"{stage}, run again: {errors[-300:]}")


def test_stages_on_full_and_read_only_disks(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("stages, disk full or not to be written", 30, 2, minutes=1.5)
    stages = list(STAGES) if one.whole else ["dump audio", "evaluate ramer"]
    reference = shutil.copytree(served, tmp_path / "reference")
    run_stages(reference, stages)
    whole = outputs(reference)
    for rng in one.attempts():
        disk = tmp_path / f"disk{one.tried}"
        with small_disk(disk, 200_000_000):
            project = shutil.copytree(reference, disk / "project")
            stage = rng.choice(stages)
            if rng.random() < 0.2:
                make_read_only(disk)
            else:
                fill(disk, int(10 ** rng.uniform(3, 6.5)))
            process = start_stage(project, stage)
            _, errors = process.communicate(timeout=300)
            same = outputs(project) == whole
            one.judge(stage, process.returncode, errors, whole=same, done=same)
        disk.rmdir()


def test_the_first_contact_with_a_store_that_is_killed(
    attack: Callable[..., Attack], make_workspace: Callable[[str], Workspace]
) -> None:
    one = attack("track, killed with a new store", 12, 2, minutes=2.0)
    workspace = make_workspace("project")
    (workspace.root / "mlflow.db").unlink()
    started = time.monotonic()
    start(workspace.root, {}).communicate(timeout=300)
    usual = time.monotonic() - started
    for rng in one.attempts():
        for left in workspace.root.glob("*mlflow.db*"):
            left.unlink()
        shutil.rmtree(workspace.root / "mlartifacts", ignore_errors=True)
        for _ in range(rng.randrange(1, 3)):
            end(start(workspace.root, {}), usual * rng.uniform(0.3, 1.0), rng)
        process = start(workspace.root, {})
        _, errors = process.communicate(timeout=300)
        found, children = workspace.runs(), workspace.runs("method")
        finished = {run.info.status for run in (*found, *children)} == {"FINISHED"}
        if (
            process.returncode == 0
            and read_json(workspace.receipt)["logged"] is True
            and (len(found), len(children), finished) == (1, len(METHODS), True)
        ):
            one.right += 1
        else:
            one.went_wrong(f"{[run.info.status for run in found]}: {errors[-300:]}")


def test_workspaces_that_share_a_new_store(
    attack: Callable[..., Attack], make_workspace: Callable[[str], Workspace], tmp_path: Path
) -> None:
    one = attack("four workspaces at one new store", 6, 1, minutes=1.5)
    workspaces = [make_workspace(f"workspace{i}") for i in range(4)]
    for rng in one.attempts():
        store = tmp_path / f"store{one.tried}" / "mlflow.db"
        started = []
        for number, workspace in enumerate(workspaces):
            settings = {"MLFLOW_TRACKING_URI": f"sqlite:///{store}", "DVC_EXP_NAME": f"experiment{number}"}
            started.append(start(workspace.root, settings))
            time.sleep(rng.choice((0.0, 0.0, 0.5, 2.0)))
        said = [process.communicate(timeout=500)[1] for process in started]
        found = Workspace(tmp_path, store.parent).runs()
        logged = [read_json(workspace.receipt)["logged"] for workspace in workspaces]
        if logged == [True] * 4 and [run.info.status for run in found] == ["FINISHED"] * 4:
            one.right += 1
        else:
            one.went_wrong(f"{logged}: {said}"[:500])
