"""The Models tab: one logged model for each model that changed, with parameters, scores and a card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.entities.model_registry import ModelVersion

from ramer import Predictor
from ramer.config import load_config
from ramer.files import read_json
from ramer.pipeline.track import track
from ramer.project import Project
from tests.support.registered import client_of, run_track, versions
from tests.support.served_project import corpus_of
from tests.support.servers import without
from tests.support.tracked import runs

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")]


def models(client: MlflowClient) -> list[LoggedModel]:
    experiment = client.get_experiment_by_name("ramer")
    return [] if experiment is None else list(client.search_logged_models([experiment.experiment_id]))


def candidate(root: Path) -> ModelVersion:
    return client_of(root).get_model_version_by_alias("ramer", "candidate")


def outputs(root: Path, run: Run) -> list[str]:
    """The logged models that a run has made."""
    held = client_of(root).get_run(run.info.run_id).outputs
    return [] if held is None else [output.model_id for output in held.model_outputs]


def test_the_served_method_is_a_logged_model_with_its_scores(tracked: Path) -> None:
    (model,), (version,) = models(client_of(tracked)), versions(tracked)
    run = client_of(tracked).get_run(str(version.run_id))
    assert (model.name, str(model.status), model.source_run_id) == ("ramer", "READY", version.run_id)
    assert version.source == f"models:/{model.model_id}"
    assert model.params == run.data.params
    scores = read_json(Project(tracked).method_results("ramer") / "metrics.json")
    digest = corpus_of(tracked).info.digest
    assert digest is not None
    linked = {metric.key: metric for metric in model.metrics or ()}
    assert linked["avg6/weighted_f1"].value == scores["avg6/weighted_f1"]
    assert linked["avg6/weighted_f1_low"].value < scores["avg6/weighted_f1"] < linked["avg6/weighted_f1_high"].value
    measured_on = {(m.dataset_name, m.dataset_digest) for m in linked.values()}
    assert measured_on == {(corpus_of(tracked).info.name, digest[:16])}
    assert outputs(tracked, run) == [model.model_id]


def test_version_model_and_run_have_one_card(tracked: Path) -> None:
    (model,), (version,) = models(client_of(tracked)), versions(tracked)
    run = client_of(tracked).get_run(str(version.run_id))
    card = version.description or ""
    assert card == model.tags["mlflow.note.content"] == run.data.tags["mlflow.note.content"]
    info = corpus_of(tracked).info
    assert f"Classes ({len(info.label_names)}): {', '.join(info.label_names)}" in card
    assert f"**{info.name}**" in card
    assert "`ramer` is " in card
    assert " `zero_fill`, which puts zeros where something is missing, on this corpus (95 % interval " in card
    assert "### Limits\n- " in card
    assert "Code: Apache-2.0." in card
    cards = read_json(Project(tracked).cards)["methods"]["ramer"]["scores"]
    (score,) = [s for s in cards if (s["metric"], s["condition"]) == ("weighted_f1", "av")]
    ends = f"{100 * score['low']:.1f} to {100 * score['high']:.1f}"
    assert f"| av | {100 * score['value']:.1f} | {ends} |" in card
    assert len(card) <= 5000


def test_only_a_changed_model_is_a_new_version(copied: Path) -> None:
    run_track(copied)
    run_track(copied, report={"draws": 500})
    (version,), (model,) = versions(copied), models(client_of(copied))
    assert len(runs(client_of(copied), "experiment")) == 2
    own = [run for run in runs(client_of(copied), "method") if run.data.tags["method"] == "ramer"]
    assert [outputs(copied, run) for run in own] == [[model.model_id]] * 2
    run_track(copied, serve={"method": "literal"})
    assert (len(versions(copied)), int(candidate(copied).version)) == (2, 2)
    run_track(copied, serve={"method": "ramer"}, report={"draws": 600})  # back to the model of the first version
    assert (len(versions(copied)), candidate(copied).version) == (2, version.version)


def test_an_interrupted_registration_leaves_one_model(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the files of the model fail to arrive, then the registry fails: the third time all is there, once."""

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    for broken in ("log_model_artifacts", "create_model_version"):
        with monkeypatch.context() as patched:
            patched.setattr(MlflowClient, broken, fail)
            run_track(copied)
        assert not versions(copied)
        assert json.loads(Project(copied).receipt.read_text("utf-8"))["logged"] is False
    run_track(copied)
    (model,), (version,) = models(client_of(copied)), versions(copied)
    assert (version.source, str(model.status)) == (f"models:/{model.model_id}", "READY")


def test_a_server_without_logged_models_gets_the_model_below_its_run(
    copied: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project = Project(copied)
    with without(server, "/logged-models", "/outputs") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        track(load_config(project.params), project, {"DVC_ROOT": str(copied), "MLFLOW_TRACKING_URI": address})
        assert read_json(project.receipt)["logged"] is True, caplog.text
        client = MlflowClient(address)
        (version,) = client.search_model_versions("name = 'ramer'")
        assert version.source == f"runs:/{version.run_id}/model"
        assert "### Scores on test rows" in (version.description or "")
        shutil.rmtree(copied)
        assert Predictor.load("models:/ramer@candidate").label_names
