"""Stages and commands whose folders are somebody else's, are locked, or lie on a disk that is read only."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaign.attacking import Attack
from tests.campaign.commands import attempts_elsewhere
from tests.support.disks import make_read_only, make_writable, small_disk
from tests.support.stages import STAGES, WRITTEN, outputs
from tests.support.strangers import give_away, lock, start_without_powers, take_back

pytestmark = pytest.mark.campaign


def _close(rng: random.Random, folder: Path) -> str:
    """Close the folder or one of those below it; how."""
    below = sorted(path for path in folder.rglob("*") if path.is_dir())
    place = folder if rng.random() < 0.5 or not below else rng.choice(below)
    rng.choice((lock, give_away))(place)
    return place.relative_to(folder).as_posix()


def test_commands_in_folders_that_are_closed(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("commands that write, folder locked, somebody else's or read only", 30, 2, minutes=1.5)
    with small_disk(tmp_path / "disk", 100_000_000) as disk:
        for rng, name, command in attempts_elsewhere(one, served, tmp_path / "whole", disk / "closed"):
            read_only = rng.random() < 0.3
            how = "read only" if read_only else _close(rng, command.writes)
            if read_only:
                make_read_only(disk)
            process = start_without_powers(tmp_path, *command.line)
            errors = process.communicate(timeout=300)[1]
            if read_only:
                make_writable(disk)
            take_back(command.writes)
            done = command.found() == command.new
            one.judge(f"{name}, {how}", process.returncode, errors, whole=command.is_whole(), done=done)


def test_stages_in_folders_that_are_closed(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("stages, folder locked or somebody else's", 30, 2, minutes=1.5)
    project = shutil.copytree(served, tmp_path / "project")
    stages = list(STAGES) if one.whole else ["index audio", "evaluate ramer"]
    for stage in stages:
        process = start_without_powers(project, "-m", f"stages.{stage.split()[0]}", *stage.split()[1:])
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, (stage, errors)
    whole = outputs(project)
    for rng in one.attempts():
        stage = rng.choice(stages)
        how = _close(rng, project / rng.choice(WRITTEN))
        process = start_without_powers(project, "-m", f"stages.{stage.split()[0]}", *stage.split()[1:])
        errors = process.communicate(timeout=300)[1]
        take_back(project)
        same = outputs(project) == whole
        one.judge(f"{stage}, {how}", process.returncode, errors, whole=same, done=same)
