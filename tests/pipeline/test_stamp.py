"""A copy of the report says which run it shows; the report itself does not depend on the run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ramer.errors import RamerError
from ramer.files import write_json
from ramer.pipeline.stamped_report import copy_report, stamp_of
from ramer.training.costs import PREDICTING_FILE, TRAINING_FILE, PredictingCost, TrainingCost, trained_digest
from tests.support.simulated import METHODS, SimulatedProject

NAMES = ("ramer", "zero_fill")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedProject:
    monkeypatch.setattr("ramer.reporting.comparison.draw_figures", lambda *_: {})
    made = SimulatedProject(tmp_path / "run", {n: METHODS[n] for n in NAMES}, 1, 12)
    made.params.write_text("train:\n  lr: 0.001\n  epochs: 60\n", "utf-8")
    for command in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "Begin"]):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *identity, *command], cwd=made.root, check=True)
    made.run()
    return made


def measured(project: SimulatedProject, name: str, trained: str) -> None:
    folder = project.costs(name)
    folder.mkdir(parents=True)
    TrainingCost(trained=trained, seconds=12.34, peak_mb=321.0, device="cpu").write(folder / TRAINING_FILE)
    cost = {"clip_ms": 1.5, "batch_ms": 9.25, "batch_rows": 64, "peak_mb": 222.0, "device": "cpu"}
    PredictingCost(trained=trained, **cost).write(folder / PREDICTING_FILE)  # type: ignore[arg-type]


def test_a_copy_names_commit_versions_changes_and_costs_and_the_report_stays(
    project: SimulatedProject, tmp_path: Path
) -> None:
    before = project.report.read_bytes()
    for name in NAMES:
        write_json(project.method(name) / "method.json", {"name": name})
        save_file({"w": np.zeros((3, 4)), "b": np.zeros(4)}, project.method(name) / "fold0_seed0.safetensors")
    measured(project, "ramer", trained_digest(project.method("ramer")))
    measured(project, "zero_fill", "of other checkpoints")
    project.params.write_text("train:\n  lr: 0.01\n  epochs: 60\nindex:\n  kind: hnsw\n", "utf-8")
    project.run()
    copy = copy_report(project, NAMES, tmp_path / "out" / "copy.html").read_text("utf-8")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project.root, capture_output=True, text=True, check=True)
    assert f"<code>{head.stdout.strip()}" in copy
    assert "<code>index.kind</code>: absent → hnsw; <code>train.lr</code>: 0.001 → 0.01" in copy
    assert "train.epochs" not in copy
    assert "numpy" in copy
    ramer, zeros = copy[copy.index('<th scope="row">ramer</th>') :].split("</tr>")[:2]
    assert ramer.endswith("<td>12.3</td><td>16</td><td>1.50</td><td>9.25 (64 clips)</td><td>321 / 222</td><td>cpu</td>")
    assert zeros.replace("–", "-").endswith("<td>-</td><td>16</td><td>-</td><td>-</td><td>- / -</td><td>-</td>")
    assert project.report.read_bytes() == before
    assert (tmp_path / "out" / "explorer.html").read_bytes() == project.explorer.read_bytes()
    project.run()
    assert project.report.read_bytes() == before


def test_without_a_commit_it_says_so(project: SimulatedProject) -> None:
    subprocess.run(["rm", "-rf", ".git"], cwd=project.root, check=True)
    project.run()
    stamp = stamp_of(project, NAMES)
    assert (stamp.commit, stamp.changed) == ("unknown", None)


def test_the_stamp_is_of_what_made_the_results_not_of_what_came_after(project: SimulatedProject) -> None:
    made = stamp_of(project, NAMES)
    project.params.write_text("train:\n  lr: 0.5\n  epochs: 60\n", "utf-8")  # nothing ran with it
    for command in (["add", "-A"], ["commit", "-qm", "Later"]):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *identity, *command], cwd=project.root, check=True)
    project.params.write_text("train:\n  lr: 0.7\n  epochs: 60\n", "utf-8")
    assert stamp_of(project, NAMES) == made
    assert made.changed == ()


def test_results_that_come_back_have_their_own_origin_again(project: SimulatedProject) -> None:
    before, made = project.summary.read_bytes(), stamp_of(project, NAMES)
    project.params.write_text("train:\n  lr: 0.5\n  epochs: 60\n", "utf-8")
    project.run(report={"draws": 310})
    assert project.summary.read_bytes() != before
    assert stamp_of(project, NAMES).changed == (("train.lr", "0.001", "0.5"),)
    project.summary.write_bytes(before)  # as `dvc checkout` does
    assert stamp_of(project, NAMES) == made


def test_results_of_elsewhere_have_no_known_origin(project: SimulatedProject, tmp_path: Path) -> None:
    project.summary.write_text(project.summary.read_text("utf-8") + "\n", "utf-8")
    page = copy_report(project, NAMES, tmp_path / "copy.html").read_text("utf-8")
    assert page.count("not known: nothing that is kept here says what made these results") == 2
    assert "<dt>versions</dt><dd>not known" in page
    assert "<dt>changed parameters</dt><dd>not known</dd>" in page


def test_what_cannot_be_copied_is_refused_in_one_line(project: SimulatedProject, tmp_path: Path) -> None:
    with pytest.raises(RamerError, match="the pipeline's own output"):
        copy_report(project, NAMES, project.report)
    (tmp_path / "file").write_text("")
    with pytest.raises(RamerError, match="cannot be written"):
        copy_report(project, NAMES, tmp_path / "file" / "copy.html")
    project.report.write_text("<!doctype html><title>Old</title>", "utf-8")
    with pytest.raises(RamerError, match="written by another version"):
        copy_report(project, NAMES, tmp_path / "copy.html")
