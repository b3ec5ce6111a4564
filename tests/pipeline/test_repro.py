"""The pipeline as a user runs it: real stages, real DVC, a real tracking store, in fresh clones."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ramer.modalities import MODALITIES
from tests.support.clone import METHODS, Clone, finish
from tests.support.guides import APPENDED, code_of, write_code, write_csv_corpus

pytestmark = pytest.mark.slow
PER_MODALITY = {f"{stage}@{m}" for stage in ("pretrain", "dump", "index", "retrieve") for m in MODALITIES}
PER_METHOD = {f"{stage}@{method}" for stage in ("train", "evaluate") for method in METHODS}
EVERYTHING = {"check", "prepare", "report", "track"} | PER_MODALITY | PER_METHOD


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Clone]:
    """Two fresh clones in which ``dvc repro`` ran at the same time, without knowing of each other."""
    home = tmp_path_factory.mktemp("home")
    first, second = (Clone.create(tmp_path_factory.mktemp(name), home) for name in ("first", "second"))
    for ran in map(finish, [first.start("dvc", "repro"), second.start("dvc", "repro")]):
        assert ran.code == 0, ran.output
        assert ran.stages == EVERYTHING
    first.commit("Run")
    return first, second


@pytest.fixture
def project(clones: tuple[Clone, Clone]) -> Iterator[Clone]:
    """The first clone, with everything up to date; put back afterwards."""
    receipt = clones[0].project.receipt
    content = receipt.read_bytes()
    yield clones[0]
    clones[0].restore()
    receipt.write_bytes(content)  # DVC does not cache it


def headline(project: Clone) -> set[str]:
    return {key.split(".")[0] for key in json.loads(project.text("results/headline.json"))}


def runs(project: Clone) -> dict[str, str]:
    """Names and statuses of the runs that the store holds."""
    with sqlite3.connect(project.path / "mlflow.db") as database:
        return dict(database.execute("select name, status from runs").fetchall())


def test_two_clones_agree_to_the_byte(clones: tuple[Clone, Clone]) -> None:
    first, second = clones
    assert first.text("dvc.lock") == second.text("dvc.lock")


def test_nothing_runs_twice(project: Clone) -> None:
    assert project.run("dvc", "repro").stages == set()
    assert project.run("git", "status", "--short").output == ""


def test_the_run_is_tracked_with_one_child_per_method(project: Clone) -> None:
    commit = project.run("git", "rev-parse", "--short=7", "HEAD~1").output.strip()
    tracked = runs(project)
    assert tracked == dict.fromkeys([f"workspace-{commit}", *METHODS], "FINISHED")


def test_the_command_line_prints_the_comparison(project: Clone) -> None:
    printed = project.run("python", "-m", "ramer.cli", "report").output
    assert set(METHODS) <= set(printed.split())
    assert "results/report.html" in printed


def test_an_option_of_a_method_reruns_that_method_only(project: Clone) -> None:
    ran = project.run("dvc", "exp", "run", "--name", "wider", "--set-param", "methods.ramer.k=7")
    assert ran.stages == {"check", "train@ramer", "evaluate@ramer", "report", "track"}
    assert "subset" not in ran.output  # what a library says to itself of the fonts in a figure
    assert runs(project)["wider"] == "FINISHED"
    shown = json.loads(project.run("dvc", "exp", "show", "--json").output)
    names = [experiment["name"] for entry in shown for experiment in entry["experiments"] or []]
    assert names == ["wider"]


def test_a_method_is_taken_out(project: Clone) -> None:
    ran = project.run("dvc", "exp", "run", "--set-param", "~methods.prior")
    assert ran.stages == {"check", "report", "track"}
    assert headline(project) == set(METHODS) - {"prior"}


def test_a_method_is_added_in_a_temporary_copy(project: Clone) -> None:
    added = "+methods.mine={type: ramer, k: 20}"
    ran = project.run("dvc", "exp", "run", "--temp", "--name", "added", "--set-param", added)
    assert ran.stages == {"check", "train@mine", "evaluate@mine", "report", "track"}
    assert runs(project)["added"] == "FINISHED"
    project.run("dvc", "exp", "apply", "added")
    assert headline(project) == {*METHODS, "mine"}


def test_a_queued_experiment_runs_and_is_tracked(project: Clone) -> None:
    project.run("dvc", "exp", "run", "--queue", "--name", "queued", "--set-param", "methods.ramer.k=7")
    project.run("dvc", "queue", "start")
    deadline = time.monotonic() + 300
    while "Success" not in (told := project.run("dvc", "queue", "status").output):
        assert "Failed" not in told, project.attempt("dvc", "queue", "logs", "queued").output
        assert time.monotonic() < deadline, told
        time.sleep(2)
    assert runs(project)["queued"] == "FINISHED"


@pytest.mark.parametrize("method", ["half_mean", "vote"])
def test_the_guides_method_is_one_file(project: Clone, method: str) -> None:
    code = code_of("docs/guides/add_a_method.md")
    lines = code[f"ramer/methods/{method}.py"].splitlines()
    assert len(lines) < (40 if method == "half_mean" else 50)
    (project.path / f"ramer/methods/{method}.py").write_text("\n".join(lines) + "\n")
    ran = project.run("dvc", "exp", "run", "--set-param", f"+methods.{method}={{type: {method}}}")
    assert ran.stages == {"check", f"train@{method}", f"evaluate@{method}", "report", "track"}
    assert headline(project) == {*METHODS, method}
    assert method in project.text("results/report.html")
    assert runs(project)[method] == "FINISHED"


def test_the_guides_corpus_kind_is_one_file_and_a_registration(project: Clone) -> None:
    code = code_of("docs/guides/add_a_corpus_kind.md")
    assert len(code["ramer/data/table.py"].splitlines()) < 60
    assert len(code[f"{APPENDED}ramer/data/kinds.py"].splitlines()) <= 3
    write_code(code, project.path)
    table = project.path / "mycorpus.csv"
    write_csv_corpus(table, missing={"v": 3})
    params = ["--set-param", "corpus.kind=table", "--set-param", f"corpus.path={table}"]
    ran = project.run("dvc", "exp", "run", *params, "prepare")
    assert ran.stages == {"check", "prepare"}
    corpus = json.loads(project.text("data/prepared/corpus.json"))
    assert corpus["dims"] == {"audio": 2, "video": 3, "text": 0}
    assert corpus["label_names"] == ["glad", "sad"]
    assert corpus["naturally_missing"]["fold0_seed0"]["train"]["video"] == 3
    table.write_text("id,speaker\nx,y\n")
    refused = project.attempt("dvc", "repro", "prepare")
    assert f"error: {table}: expected the columns id, speaker, split, label, split, label missing" in refused.output


def test_the_guides_metric_is_in_every_result(project: Clone) -> None:
    write_code(code_of("docs/guides/add_a_metric.md"), project.path)
    for stage in (["evaluate", "ramer"], ["evaluate", "prior"], ["report"]):
        project.run("python", "-m", f"stages.{stage[0]}", *stage[1:])
    scores = json.loads(project.text("results/summary.json"))["methods"]["ramer"]["av"]
    assert scores["accuracy"]["mean"] <= scores["top_two"]["mean"] <= 1
    assert "top two" in project.text("results/report.html")


def test_tracking_settings_rerun_tracking_only(project: Clone) -> None:
    ran = project.run("dvc", "exp", "run", "--set-param", "tracking.enabled=false")
    assert ran.stages == {"check", "track"}


def test_a_mistyped_key_is_refused_before_anything_runs(project: Clone) -> None:
    ran = project.attempt("dvc", "exp", "run", "--set-param", "methods.ramer.kk=7")
    assert ran.code != 0
    assert ran.stages == set()
    assert "kk" in ran.output


def test_bad_values_are_one_line_each_and_cost_no_results(project: Clone) -> None:
    bad = ("--set-param", "methods.ramer.k=many", "--set-param", "+methods.mine={type: rammer}")
    ran = project.attempt("dvc", "exp", "run", *bad)
    assert ran.code != 0
    assert ran.stages == {"check"}
    said = [line for line in ran.output.splitlines() if line.startswith("error: ")]
    assert len(said) == 2
    assert said[0].startswith("error: params.yaml: methods.ramer.k: input should be a valid integer")
    assert said[1].startswith("error: params.yaml: methods.mine.type: unknown method type 'rammer', expected one of ")
    assert "Traceback" not in ran.output
    assert headline(project) == set(METHODS)


def test_a_fresh_clone_with_the_cache_only_tracks(project: Clone, tmp_path: Path) -> None:
    copy = Clone(tmp_path / "clone", Path(project.environment["HOME"]))
    project.run("git", "clone", "--quiet", str(project.path), str(copy.path))
    shutil.copytree(project.path / ".dvc" / "cache", copy.path / ".dvc" / "cache")
    copy.run("dvc", "checkout", "-q")
    assert copy.run("dvc", "repro").stages == {"track"}
    assert set(runs(copy)) >= set(METHODS)
    assert copy.run("dvc", "status", "-q").output == ""
