"""Stages that are killed in the middle of long work go on where they were, to the bytes of an undisturbed run."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ramer.config import Config, load_config
from ramer.files import write_json
from ramer.pipeline.durations import StageSeconds, keep_seconds
from ramer.pipeline.pretrain import pretrain
from ramer.project import Project
from ramer.training.epochs import EpochLoop
from tests.support.contents import contents
from tests.support.stages import start_stage

LAYOUT = Project(Path())
AUDIO = str(LAYOUT.encoders("audio"))
READ = ("models", str(LAYOUT.all_states), str(LAYOUT.prepared))
EPOCHS = {"epochs": 60, "patience": 60}
# A stage, what is changed in params.yaml, which savepoint is waited for, and what the next run says of it.
KILLED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "pretrain": ("pretrain audio", {"pretrain.audio": EPOCHS}, "fold0_seed1", "resumed after epoch"),
    "dump, cross-fitted": (
        "dump audio",
        {"dump": {"crossfit": 2}, "pretrain.audio": EPOCHS},
        "fold0_seed0.crossfit1",
        "resumed after epoch",
    ),
    "dump, by blocks": ("dump audio", {"dump": {"batch_size": 1}}, "fold0_seed1.rows.3", " rows"),
    "train": ("train zero_fill", {"train": EPOCHS}, "fold0_seed1.0", "resumed after epoch"),
    "train, fine-tuned": ("train rebuilt", {"train": EPOCHS}, "fold0_seed1.0", "resumed after epoch"),
}


def changed(served: Path, path: Path, changes: dict[str, dict[str, Any]]) -> Project:
    """A copy of a project with other parameters and, for its code has not been read by ``check``, digests of some."""
    project = Project(shutil.copytree(served, path))
    params = json.loads(project.params.read_text("utf-8"))
    for section, values in changes.items():
        of = params
        for key in section.split("."):
            of = of[key]
        of.update(values)
    project.params.write_text(json.dumps(params), "utf-8")
    for stage in ("pretrain", "dump", "train", "methods/zero_fill", "methods/ramer"):
        project.code_of(stage).parent.mkdir(parents=True, exist_ok=True)
        write_json(project.code_of(stage), {"ramer": "0"})
    return project


def finished(process: subprocess.Popen[str]) -> str:
    """What a process said that must succeed."""
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def kill_at(savepoint: str, project: Project, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 300
    while not list(project.all_savepoints.glob(f"*/*/{savepoint}.safetensors")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.002)
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("case", KILLED)
def test_a_killed_stage_goes_on_to_the_same_bytes(case: str, served: Path, tmp_path: Path) -> None:
    stage, changes, savepoint, said = KILLED[case]
    whole = changed(served, tmp_path / "whole", changes)
    assert "resumed" not in finished(start_stage(whole.root, stage))
    project = changed(served, tmp_path / "killed", changes)
    before = contents(project.root, *READ)
    kill_at(savepoint, project, start_stage(project.root, stage, RAMER_SAVEPOINT_SECONDS="0", RAMER_WORKERS="1"))
    assert contents(project.root, *READ) == before
    log = finished(start_stage(project.root, stage, RAMER_WORKERS="2"))
    assert f"{stage} {savepoint.rpartition('.rows')[0] or savepoint}" in log
    assert said in log
    assert contents(project.root, "models", "data") == contents(whole.root, "models", "data")
    assert not project.savepoints(*stage.split()).exists(), "swept when the stage has ended"


class EndedError(Exception):
    """In place of SIGKILL, which would end the tests as well."""


@pytest.fixture
def interrupted(served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Project, Config]:
    """A project whose ``pretrain audio`` was ended in its third epoch."""
    project = changed(served, tmp_path / "project", {})
    config = load_config(project.params)
    monkeypatch.setenv("RAMER_WORKERS", "1")
    monkeypatch.setenv("RAMER_SAVEPOINT_SECONDS", "0")
    real = EpochLoop.end

    def end(loop: EpochLoop, line: dict[str, float], score: float, loss: float = 0.0) -> None:
        if len(loop.history) == 2:
            raise EndedError
        real(loop, line, score, loss)

    with monkeypatch.context() as patched:
        patched.setattr(EpochLoop, "end", end)
        with pytest.raises(EndedError):
            pretrain(config, project, "audio")
    assert [path.name for path in project.all_savepoints.rglob("*.safetensors")] == ["fold0_seed0.safetensors"]
    return project, config


def change_params(project: Project, config: Config) -> Config:
    audio = config.pretrain.audio.model_copy(update={"lr": 0.01})
    return config.model_copy(update={"pretrain": config.pretrain.model_copy(update={"audio": audio})})


def change_code(project: Project, config: Config) -> Config:
    write_json(project.code_of("pretrain"), {"ramer": "1"})
    return config


def change_inputs(project: Project, config: Config) -> Config:
    digests = project.prepared / "digests.json"
    digests.write_text(digests.read_text("utf-8") + " ", "utf-8")
    return config


@pytest.mark.parametrize("change", [None, change_params, change_code, change_inputs])
def test_a_savepoint_of_another_recipe_is_not_used(
    change: Callable[[Project, Config], Config] | None,
    interrupted: tuple[Project, Config],
    caplog: pytest.LogCaptureFixture,
) -> None:
    project, config = interrupted
    if change is not None:
        config = change(project, config)
    caplog.set_level("INFO")
    pretrain(config, project, "audio")
    assert ("resumed after epoch 2" in caplog.text) == (change is None)
    assert not project.savepoints("pretrain", "audio").exists()
    undisturbed = Project(project.root / "undisturbed")
    shutil.copytree(project.prepared, undisturbed.prepared)
    pretrain(config, undisturbed, "audio")
    assert contents(project.root, AUDIO) == contents(undisturbed.root, AUDIO)


def test_the_seconds_of_a_stage_are_those_of_all_processes_that_made_its_output(
    interrupted: tuple[Project, Config],
) -> None:
    project, config = interrupted
    (spent,) = project.savepoints("pretrain", "audio").glob("*/seconds.json")
    write_json(spent, 100.0)
    pretrain(config, project, "audio")
    keep_seconds(project, "pretrain", "audio", 7.0)
    assert StageSeconds.read(project.seconds("pretrain", "audio")).seconds == 107.0
    pretrain(config, project, "audio")  # from the start, for nothing was left of the others
    keep_seconds(project, "pretrain", "audio", 7.0)
    assert StageSeconds.read(project.seconds("pretrain", "audio")).seconds == 7.0


def test_a_savepoint_that_was_damaged_is_thrown_away(
    interrupted: tuple[Project, Config], caplog: pytest.LogCaptureFixture, served: Path
) -> None:
    project, config = interrupted
    (path,) = project.all_savepoints.rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    path.write_bytes(content)
    pretrain(config, project, "audio")
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith(f"{path}: a damaged savepoint, thrown away (")
    assert line.endswith("): starts over")
    assert contents(project.root, AUDIO) == contents(served, AUDIO)


def test_what_a_killed_training_left_is_forgotten_with_its_method(served: Path, tmp_path: Path) -> None:
    """Else gigabytes of a method that nobody trains again would lie there for ever."""
    project = changed(served, tmp_path / "project", {})
    left = project.savepoints("train", "tried_once") / "0123" / "fold0_seed0.0.safetensors"
    held = project.savepoints("train", "zero_fill") / "0123" / "fold0_seed0.0.safetensors"
    other = project.savepoints("pretrain", "audio") / "0123" / "fold0_seed0.safetensors"
    for path in (left, held, other):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"0")
    process = start_stage(project.root, "check")
    assert str(project.savepoints("train", "tried_once").relative_to(project.root)) in finished(process)
    assert [path.is_file() for path in (left, held, other)] == [False, True, True]
    assert not project.savepoints("train", "tried_once").exists()
