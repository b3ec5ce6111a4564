"""The shape of the pipeline: names and files that other people's scripts rely on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ramer.config import load_config
from ramer.modalities import MODALITIES
from tests.support.closure import ROOT
from tests.support.plan import Stage, instances, overlap, read_stages, rerun_by

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


# Small, and in git, so that a clone without DVC's cache compares what they say of two commits.
IN_GIT = {"results/headline.json", "results/plot_data"}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_what_is_written_is_ignored_by_git_before_it_exists(stage: Stage) -> None:
    outs = [out.replace("${item}", "audio").replace("${key}", "ramer") for out in stage.outs if out not in IN_GIT]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *outs], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert sorted(ignored.stdout.split()) == sorted(outs)


def test_everything_waits_for_the_check_of_the_parameters() -> None:
    producers = {out: stage.name for stage in STAGES.values() for out in stage.outs}
    assert producers["data/params.checked"] == "check"
    for stage in STAGES.values():
        if stage.name not in ("check", "prepare"):
            assert any(overlap(dep, out) for dep in stage.deps for out in producers), stage.name
    assert "data/params.checked" in STAGES["prepare"].deps


def on(stages: str, *items: str) -> set[str]:
    return {f"{stage}@{item}" for stage in stages.split() for item in items}


METHODS = {"one": "ramer", "two": "zero_fill"}
ENDS = {"check", "report", "track"}
TRAINED = on("train evaluate", *METHODS) | ENDS
EVERYTHING = {"prepare"} | on(" ".join(PER_MODALITY), *MODALITIES) | TRAINED


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("runtime.threads", EVERYTHING),
        ("corpus.synthetic.rows", EVERYTHING),
        ("prepare.seeds", EVERYTHING),
        ("pretrain.text.dropout", on("pretrain dump index retrieve", "text") | TRAINED),
        ("index.kind", on("index retrieve", *MODALITIES) | TRAINED),
        ("index.rerank", on("index retrieve", *MODALITIES) | TRAINED),
        ("retrieval.scope", on("index retrieve", *MODALITIES) | TRAINED),
        ("retrieval.exclude", on("index retrieve", *MODALITIES) | TRAINED),
        ("retrieval.width", on("retrieve", *MODALITIES) | TRAINED),
        ("train.dropout", TRAINED),
        ("methods.one.k", on("train evaluate", "one") | ENDS),
        ("evaluate.ece_bins", on("evaluate", *METHODS) | ENDS),
        ("report.draws", ENDS),
        ("serve.method", ENDS),
        ("tracking.experiment", {"check", "track"}),
    ],
)
def test_a_parameter_reruns_what_depends_on_it_and_nothing_else(key: str, expected: set[str]) -> None:
    assert rerun_by(key, METHODS) == expected


@pytest.mark.slow
def test_dvc_expands_one_stage_per_modality_and_method() -> None:
    command = [sys.executable, "-m", "dvc", "stage", "list", "--name-only"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    methods = load_config(ROOT / "params.yaml").methods
    assert listed == list(instances({name: str(entry["type"]) for name, entry in methods.items()}))
