"""The shape of the pipeline: names and files that other people's scripts rely on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ramer.config import load_config
from ramer.modalities import MODALITIES
from tests.pipeline.closure import ROOT
from tests.pipeline.plan import Stage, read_stages

STAGES = read_stages()
PER_MODALITY = ("pretrain", "dump", "index", "retrieve")
PER_METHOD = ("train", "evaluate")


def test_the_stages_are_those_of_the_documentation_in_their_order() -> None:
    assert list(STAGES) == ["check", "prepare", *PER_MODALITY, *PER_METHOD, "report", "track"]
    assert all(STAGES[name].foreach == list(MODALITIES) for name in PER_MODALITY)
    assert all(STAGES[name].foreach == "${methods}" for name in PER_METHOD)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_a_stage_runs_the_code_of_the_copy_that_it_is_in(stage: Stage) -> None:
    # A console script or a path would run the main workspace's code in a temporary copy.
    assert stage.cmd.split()[:3] == ["python", "-m", f"stages.{stage.name}"]


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_what_is_written_is_ignored_by_git_before_it_exists(stage: Stage) -> None:
    outs = [out.replace("${item}", "audio").replace("${key}", "ramer") for out in stage.outs]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *outs], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert sorted(ignored.stdout.split()) == sorted(outs)


def test_everything_waits_for_the_check_of_the_parameters() -> None:
    producers = {out: stage.name for stage in STAGES.values() for out in stage.outs}
    assert producers["data/params.checked"] == "check"
    for stage in STAGES.values():
        if stage.name not in ("check", "prepare"):
            assert any(_overlap(dep, out) for dep in stage.deps for out in producers), stage.name
    assert "data/params.checked" in STAGES["prepare"].deps


@pytest.mark.slow
def test_dvc_expands_one_stage_per_modality_and_method() -> None:
    command = [sys.executable, "-m", "dvc", "stage", "list", "--name-only"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    methods = load_config(ROOT / "params.yaml").methods
    expected = {"check", "prepare", "report", "track"}
    expected |= {f"{name}@{modality}" for name in PER_MODALITY for modality in MODALITIES}
    expected |= {f"{name}@{method}" for name in PER_METHOD for method in methods}
    assert set(listed) == expected


def _overlap(dep: str, out: str) -> bool:
    return dep == out or out.startswith(f"{dep}/") or dep.startswith(f"{out}/")
