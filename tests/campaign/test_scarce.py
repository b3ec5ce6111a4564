"""Stages and commands that may open only a few files, or whose quota is used up."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaign.attacking import Attack
from tests.campaign.commands import chosen, environment, undisturbed
from tests.support.scarce import in_want_of
from tests.support.stages import STAGES, outputs, run_stages, start_stage
from tests.support.tracked import start

pytestmark = pytest.mark.campaign


def _want(rng: random.Random) -> tuple[str, int]:
    """What there is too little of, and how many files may be opened."""
    return ("quota", 0) if rng.random() < 0.3 else ("files", rng.randrange(1, 40))


def test_commands_in_want_of_files(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("commands that write, too many files open or quota used up", 40, 2, minutes=1.5)
    known = chosen(one, served, tmp_path)
    for command in known.values():
        undisturbed(command)
    for rng in one.attempts():
        name = rng.choice(sorted(known))
        command, want = known[name], _want(rng)
        command.reset()
        process = start(command.writes, environment(), *in_want_of(*want, *command.line))
        errors = process.communicate(timeout=300)[1]
        done = command.found() == command.new
        one.judge(f"{name}, {want}", process.returncode, errors, whole=command.is_whole(), done=done)


def test_stages_in_want_of_files(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("stages, too many files open or quota used up", 40, 2, minutes=1.5)
    project = shutil.copytree(served, tmp_path / "project")
    stages = list(STAGES) if one.whole else ["dump audio", "evaluate ramer"]
    run_stages(project, stages)
    whole = outputs(project)
    for rng in one.attempts():
        stage, want = rng.choice(stages), _want(rng)
        process = start_stage(project, stage, want=want)
        errors = process.communicate(timeout=300)[1]
        same = outputs(project) == whole
        one.judge(f"{stage}, {want}", process.returncode, errors, whole=same, done=same)
