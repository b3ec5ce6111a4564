"""Every ``ramer`` command that writes: killed at any moment, on full disks, and in folders that it may not write to."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.campaign.attacking import Attack, end
from tests.campaign.commands import attempts_elsewhere, chosen, environment, run, undisturbed
from tests.support.disks import fill, small_disk
from tests.support.registered import run_track
from tests.support.served_project import rows_of, save_npz
from tests.support.tracked import start

pytestmark = pytest.mark.campaign


def test_commands_that_are_killed(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("commands that write, killed at a random moment", 30, 2, minutes=2.5)
    known = chosen(one, served, tmp_path)
    seconds = {name: undisturbed(command) for name, command in known.items()}
    for rng in one.attempts():
        name = rng.choice(sorted(known))
        command = known[name]
        command.reset()
        for _ in range(rng.choice((1, 1, 2))):
            process = start(command.writes, environment(), *command.line)
            end(process, seconds[name] * rng.uniform(0.4, 1.05), rng)
            if not command.is_whole():
                one.went_wrong(f"{name}: something else lies there: {sorted(command.found())}"[:400])
        code, errors, _ = run(command)
        if code == 0 and command.found() == command.new:
            one.right += 1
        elif code == 2 and command.again and command.again in errors and command.is_whole():
            one.refused += 1
        else:
            one.went_wrong(f"{name}, run again: exit {code}: {errors[-300:]}")


def test_commands_on_full_disks(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("commands that write, disk full", 30, 2, minutes=1.5)
    with small_disk(tmp_path / "disk", 60_000_000) as disk:
        for rng, name, command in attempts_elsewhere(one, served, tmp_path / "whole", disk / "small"):
            needed = sum(map(len, command.new.values()))
            filler = fill(disk, int(needed * rng.uniform(0.0, 3.0)))
            code, errors, _ = run(command)
            filler.unlink()
            one.judge(name, code, errors, whole=command.is_whole(), done=command.found() == command.new)


_DATABASE = """
from ramer.serving.modelfiles import open_model
with open_model("models:/ramer@candidate") as files:
    print(*files.read_database().ids)
"""


def _registry(project: Path, query: str) -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(project / "mlflow.db")) as database:
        return [tuple(map(str, row)) for row in database.execute(query).fetchall()]


def test_registries_whose_commands_are_killed(attack: Callable[..., Attack], copied: Path, tmp_path: Path) -> None:
    """``promote``, and ``database add`` to a registered version."""
    one = attack("commands that change the registry, killed", 10, 1, minutes=2.0)
    run_track(copied)
    before = shutil.copytree(copied, tmp_path / "before")
    rows = rows_of(copied)[:4]
    clips = save_npz(tmp_path / "clips.npz", copied, rows, ids=np.array([f"new{i}" for i in range(4)]))
    add = ("-m", "ramer.cli", "database", "add", "--features", str(clips), "--model", "models:/ramer@candidate")
    lines = {"add": add, "promote": ("-m", "ramer.cli", "promote")}
    for rng in one.attempts():
        shutil.rmtree(copied)
        shutil.copytree(before, copied)
        name = rng.choice(sorted(lines))
        end(start(copied, environment(), *lines[name]), rng.uniform(1.5, 6.0), rng)
        process = start(copied, environment(), *lines[name])
        errors = process.communicate(timeout=300)[1]
        aliases = _registry(copied, "select alias, version from registered_model_aliases")
        versions = _registry(copied, "select status from model_versions")
        database = start(copied, environment(), "-c", _DATABASE).communicate(timeout=300)[0]
        right = {"add": "new0" in database, "promote": ("champion", "1") in aliases}[name]
        said = process.returncode == 0 or (process.returncode == 2 and " already" in errors)
        if right and said and set(versions) == {("READY",)}:
            one.right += 1
        else:
            one.went_wrong(f"{name}: {aliases}, {versions}: exit {process.returncode}: {errors[-300:]}")
