"""``dvc repro`` itself: killed with and without its stages, on full disks, and two experiments of a queue at a time."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaign.attacking import Attack
from tests.support.clone import Clone, copied, finish
from tests.support.contents import contents
from tests.support.disks import fill, small_disk

pytestmark = pytest.mark.campaign

_WRITTEN = ("data", "models", "results", "dvc.lock")
_STAGES = ("prepare", "pretrain@audio", "dump@text", "index@video", "retrieve@audio", "train@ramer", "evaluate@ramer")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A small clone whose pipeline has run."""
    clone = Clone.create(tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("home"))
    clone.run("dvc", "repro")
    clone.commit("Run")
    return clone


def held(clone: Clone) -> dict[str, bytes]:
    return contents(clone.path, *_WRITTEN[:-1]) | {"dvc.lock": (clone.path / "dvc.lock").read_bytes()}


def kill(clone: Clone, command: list[str], after: float, rng: random.Random) -> None:
    """End DVC alone, its stage alone or both, by any signal, after so many seconds."""
    process = subprocess.Popen(
        command,
        cwd=clone.path,
        env=clone.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        sent = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
        if rng.random() < 0.5:
            os.killpg(process.pid, sent)
        else:
            process.send_signal(sent)
        process.wait(timeout=300)


def made_whole(clone: Clone) -> str:
    """What ``make repro`` does, and what it says to do where the lock is cut: everything it said."""
    said = clone.attempt("python", "-m", "stages._lock")
    if said.code:
        clone.run("git", "checkout", "dvc.lock")
    return said.output + clone.run("dvc", "repro").output


def test_repro_that_is_killed(attack: Callable[..., Attack], ran: Clone, tmp_path: Path) -> None:
    one = attack("dvc repro, killed at a random moment", 15, 1, minutes=3.0)
    clone = copied(ran, tmp_path / "clone")
    whole = held(clone)
    for rng in one.attempts():
        everything = rng.random() < 0.2
        targets = [] if everything else ["--single-item", rng.choice(_STAGES)]
        command = ["dvc", "repro", "--force", "--no-run-cache", *targets]
        kill(clone, command, rng.uniform(1, 40 if everything else 8), rng)
        try:
            said = made_whole(clone)
        except AssertionError as error:
            one.went_wrong(f"{targets}: {str(error)[-400:]}")
            shutil.rmtree(clone.path)
            copied(ran, clone.path)
            continue
        different = [name for name, content in held(clone).items() if whole.get(name) != content]
        if different or set(held(clone)) != set(whole):
            one.went_wrong(f"{targets}: {different[:3]}: {said[-300:]}")
        else:
            one.right += 1


def test_repro_on_full_disks(attack: Callable[..., Attack], ran: Clone, tmp_path: Path) -> None:
    """The disk of the workspace, of DVC's cache or of the tracking store."""
    one = attack("dvc repro, disk full", 10, 1, minutes=2.0)
    for rng in one.attempts():
        full = rng.choice(("workspace", "cache", "store"))
        disk = tmp_path / f"disk{one.tried}"
        with small_disk(disk, 300_000_000):
            clone = copied(ran, disk / "clone" if full == "workspace" else tmp_path / f"clone{one.tried}")
            whole = held(clone)
            if full == "cache":
                shutil.move(clone.path / ".dvc" / "cache", disk / "cache")
                clone.run("dvc", "cache", "dir", "--local", str(disk / "cache"))
            if full == "store":
                clone.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{disk}/mlflow.db"
            filler = fill(disk, int(10 ** rng.uniform(3, 6.5)))
            stage = "track" if full == "store" else rng.choice(_STAGES)
            said = clone.attempt("dvc", "repro", "--force", "--no-run-cache", "--single-item", stage)
            filler.unlink()
            case = f"{full}, {stage}: exit {said.code}: {said.output[-400:]}"
            logged = "NOT logged" not in said.output
            try:
                made_whole(clone)
                if not logged:
                    clone.run("dvc", "repro", "-f", "-s", "track")  # as it was told
            except AssertionError as error:
                one.went_wrong(f"{case}; then {str(error)[-300:]}")
                continue
            told = said.code == 0 or "No space left" in said.output or "free some space" in said.output
            now = held(clone)
            different = sorted(name for name in now.keys() | whole.keys() if now.get(name) != whole.get(name))
            if different or not told or "Traceback" in said.output:
                one.went_wrong(f"{case}; different: {different[:3]}")
            elif said.code or not logged:
                one.refused += 1
            else:
                one.right += 1
        shutil.rmtree(tmp_path / f"clone{one.tried}", ignore_errors=True)


def test_a_queue_with_two_workers(attack: Callable[..., Attack], ran: Clone, tmp_path: Path) -> None:
    one = attack("experiments of a queue, two at a time", 4, 2, minutes=2.5)
    clone = copied(ran, tmp_path / "clone")
    names = []
    for _ in range(one.planned):
        rng = one.next_attempt()
        names.append(f"queued{one.tried}")
        clone.run("dvc", "exp", "run", "--queue", "--name", names[-1], "-S", f"methods.ramer.k={rng.randrange(2, 19)}")
    clone.run("dvc", "queue", "start", "--jobs", "2")
    deadline = time.monotonic() + 120 * one.planned + 300
    while (told := clone.run("dvc", "queue", "status").output).count("Success") < len(names):
        if "Failed" in told or time.monotonic() > deadline:
            break
        time.sleep(2)
    import sqlite3

    with sqlite3.connect(clone.path / "mlflow.db") as database:
        runs = dict(database.execute("select name, status from runs").fetchall())
    for name in names:
        if runs.get(name) == "FINISHED" and clone.attempt("dvc", "exp", "apply", name).code == 0:
            one.right += 1
        else:
            one.went_wrong(f"{name}: {runs.get(name)}: {told[-400:]}")
    finish(clone.start("dvc", "queue", "stop", "--kill"))
