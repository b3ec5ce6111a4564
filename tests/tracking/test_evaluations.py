"""An evaluation of a registered model is a run below its version's, which names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ramer.cli import app
from ramer.pipeline.new_clips import EVALUATION_FILE, Evaluation
from tests.support.registered import client_of, run_track, versions
from tests.support.served_project import build_project, corpus_of, rows_of, run_report, save_npz


def test_it_is_logged_beside_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = build_project(tmp_path / "project", {"zero_fill": {"type": "zero_fill"}})
    run_report(project)
    run_track(project, serve={"registration": "always"})
    (version,) = versions(project)
    corpus = corpus_of(project)
    labels = corpus.labels(corpus.replicates[0])[rows_of(project)]
    clips = save_npz(
        tmp_path / "new.npz", project, rows_of(project), label=labels, label_names=np.array(corpus.label_names)
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/mlflow.db")
    asked = ["evaluate", str(clips), "--model", "models:/ramer@candidate", "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0, ran.output
    client = client_of(project)
    tagged = client.get_model_version("ramer", version.version).tags["ramer.evaluated.new"]
    run = client.get_run(tagged)
    assert run.data.tags["mlflow.parentRunId"] == version.run_id
    done = Evaluation.read(tmp_path / "out" / EVALUATION_FILE)
    for score in done.scores:
        key = f"{score.condition}/{score.metric}"
        assert run.data.metrics[key] == pytest.approx(score.value)
        assert run.data.metrics[f"{key}_low"] == pytest.approx(score.low)
    names = {file.path for file in client.list_artifacts(tagged)}
    assert EVALUATION_FILE in names
    assert any(file.path.endswith("report.html") for file in client.list_artifacts(tagged, "results"))
    assert client.get_run(tagged).info.status == "FINISHED"
    again = CliRunner().invoke(app, [*asked, "--no-track"])
    assert again.exit_code == 0, again.output
    assert len(client.search_runs([run.info.experiment_id], "tags.`ramer.role` = 'evaluation'")) == 1
