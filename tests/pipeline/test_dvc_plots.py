"""What DVC shows of committed results in a clone that has none of its cache: plots, metrics, experiments."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from ramer.files import read_json, write_json
from ramer.modalities import AVERAGE, CONDITIONS, MODALITIES
from ramer.project import Project
from tests.support.clone import Clone
from tests.support.closure import ROOT
from tests.support.simulated import METHODS, SimulatedProject

PAIR = {name: METHODS[name] for name in ("ramer", "late_product")}
PLOTS = {"scores", "encoder_training", "method_training", "confusion"}
README_COMMAND = re.compile(r"^dvc exp show (--drop .+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone of two commits with results of their own, and no cache."""
    home, path = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("made")
    made = Clone.create(path, home)
    project = SimulatedProject(path, PAIR, seeds=2, speakers=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ramer.reporting.comparison.draw_figures", lambda *_: {})
        project.run()
        made.commit("Results")
        metrics = read_json(project.method_results("ramer") / "metrics.json")
        write_json(project.method_results("ramer") / "metrics.json", metrics | {f"{AVERAGE}/weighted_f1": 0.9})
        table = pd.read_parquet(project.method_results("ramer") / "predictions.parquet")
        table.assign(predicted=table["label"]).to_parquet(project.method_results("ramer") / "predictions.parquet")
        project.run()
    made.commit("Better results")
    clone = tmp_path_factory.mktemp("fresh")
    made.run("git", "clone", "-q", str(path), str(clone))
    return Clone(clone, home)


def test_git_holds_what_dvc_shows_and_nothing_large(fresh: Clone) -> None:
    held = fresh.run("git", "ls-files", "results").output.split()
    project = Project(fresh.path)
    expected = [project.headline, *(project.plot_data / f"{name}.csv" for name in PLOTS)]
    assert set(held) == {path.relative_to(project.root).as_posix() for path in expected}
    assert sum((fresh.path / name).stat().st_size for name in held) < 50_000


@pytest.mark.slow
def test_plots_of_two_revisions_differ_without_a_cache(fresh: Clone) -> None:
    told = json.loads(fresh.run("dvc", "plots", "diff", "--json", "HEAD~1", "HEAD").output)
    assert not told.get("errors")
    assert set(told["data"]) == PLOTS
    for name, (drawn,) in told["data"].items():
        rows = drawn["content"]["data"]["values"]
        assert {row["rev"] for row in rows} == {"HEAD~1", "HEAD"}, name
        assert "<DVC_METRIC" not in json.dumps(drawn["content"]), name
    scores = {
        (row["rev"], row["method"], row["condition"]): float(row["weighted_f1"])
        for row in told["data"]["scores"][0]["content"]["data"]["values"]
    }
    assert {condition for _, _, condition in scores} == {*CONDITIONS, AVERAGE}
    assert scores["HEAD", "ramer", "avt"] == 1.0 > scores["HEAD~1", "ramer", "avt"]
    assert scores["HEAD", "late_product", "avt"] == scores["HEAD~1", "late_product", "avt"]


@pytest.mark.slow
def test_the_page_of_plots_is_written(fresh: Clone) -> None:
    told = fresh.run("dvc", "plots", "show").output
    assert "file://" in told
    page = fresh.text("dvc_plots/index.html")
    assert {name for name in PLOTS if f'id = "{name}"' in page} == PLOTS
    assert fresh.run("git", "status", "--short").output == ""


@pytest.mark.slow
def test_metrics_of_two_revisions_differ_without_a_cache(fresh: Clone) -> None:
    told = json.loads(fresh.run("dvc", "metrics", "diff", "--json", "HEAD~1", "HEAD").output)
    (file,) = told.values()
    assert set(file) == {"ramer.avg6_weighted_f1"}
    assert file["ramer.avg6_weighted_f1"]["new"] == 0.9


@pytest.mark.slow
def test_the_readmes_table_of_experiments_fits_120_columns(fresh: Clone) -> None:
    (options,) = README_COMMAND.findall((ROOT / "README.md").read_text("utf-8"))
    shown = fresh.run("bash", "-c", f"COLUMNS=120 dvc exp show {options}").output
    assert max(map(len, shown.splitlines())) <= 120
    (head,) = (line for line in shown.splitlines() if "Experiment" in line)
    assert head.split() == ["Experiment", "ramer.avg6_weighted_f1", "methods.ramer.k"]
    (now,) = (line for line in shown.splitlines() if "workspace" in line)
    assert now.split() == ["workspace", "0.9", "5"]


def test_tables_hold_what_the_report_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ramer.reporting.comparison.draw_figures", lambda *_: {})
    project = SimulatedProject(tmp_path, PAIR, seeds=2, speakers=8)
    project.run()
    scores = pd.read_csv(project.plot_data / "scores.csv").set_index(["method", "condition"])
    for method in PAIR:
        metrics = read_json(project.method_results(method) / "metrics.json")
        for condition in CONDITIONS:
            score = scores.loc[(method, condition), "weighted_f1"]
            assert score == pytest.approx(metrics[f"{condition}/weighted_f1"], abs=1e-6)
    assert (scores["weighted_f1_low"] <= scores["weighted_f1"]).all()
    assert (scores["weighted_f1"] <= scores["weighted_f1_high"]).all()
    training = pd.read_csv(project.plot_data / "encoder_training.csv")
    assert set(training["trained"]) == set(MODALITIES)
    history = pd.read_csv(project.encoders("audio") / "history.csv")
    first = training[(training["trained"] == "audio") & (training["epoch"] == 1)]["validation_score"]
    assert first.item() == pytest.approx(history[history["epoch"] == 1]["val_weighted_f1"].mean(), abs=1e-6)
    confusion = pd.read_csv(project.plot_data / "confusion.csv")
    with_all = confusion[(confusion["method"] == "ramer") & (confusion["condition"] == "avt")]
    assert with_all["clips"].sum() == 2 * project.rows
    assert with_all.groupby("actual")["share"].sum().to_numpy() == pytest.approx(1.0, abs=1e-5)


def test_what_was_not_trained_has_no_row_and_none_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC would draw an empty cell as a fall to zero."""
    monkeypatch.setattr("ramer.reporting.comparison.draw_figures", lambda *_: {})
    project = SimulatedProject(tmp_path, PAIR, seeds=2, speakers=8)
    (project.encoders("video") / "history.csv").unlink()
    history = pd.read_csv(project.encoders("text") / "history.csv")
    history[history["epoch"] < 9].to_csv(project.encoders("text") / "history.csv", index=False)
    project.run()
    training = pd.read_csv(project.plot_data / "encoder_training.csv")
    assert set(training["trained"]) == {"audio", "text"}
    assert training[training["trained"] == "text"]["epoch"].max() == 8
    for table in project.plot_data.iterdir():
        assert not pd.read_csv(table).isna().to_numpy().any(), table
