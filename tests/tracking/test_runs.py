"""What a reader of MLflow finds after ``track``."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import mlflow.artifacts
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import FileInfo, Run

from ramer.array_files import read_tensors
from ramer.files import read_json, write_json
from ramer.modalities import AVERAGE, CONDITIONS, MODALITIES
from ramer.pipeline.durations import keep_seconds
from ramer.project import Project
from ramer.tracking.result_files import ResultsError
from tests.support.tracked import Workspace
from tests.support.tree import CORPUS_DIGEST, EPOCHS, METHODS, commit, git


def artifacts(client: MlflowClient, run: Run, folder: str | None = None) -> set[str]:
    found: set[str] = set()
    entry: FileInfo
    for entry in client.list_artifacts(run.info.run_id, folder):
        found |= artifacts(client, run, entry.path) if entry.is_dir else {entry.path}
    return found


def download(workspace: Workspace, run: Run, path: str) -> Path:
    uri = f"sqlite:///{workspace.main}/mlflow.db"
    return Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path, tracking_uri=uri))


def test_the_experiment_holds_parameters_scores_and_their_origin(workspace: Workspace) -> None:
    workspace.track()
    run = workspace.run()
    head = git(workspace.root, "rev-parse", "HEAD")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"workspace-{head[:7]}"
    assert run.data.params["methods.ramer.k"] == "5"
    assert run.data.params["methods.zero_fill.type"] == "zero_fill"
    assert run.data.params["prepare.seeds"] == "[0, 1, 2]"
    assert run.data.params["prepare.label_budget"] == "null"
    assert run.data.params["pretrain.text.lr"] == "0.0003"
    for method in METHODS:
        scores = read_json(workspace.root / "results/methods" / method / "metrics.json")
        assert run.data.metrics[f"{method}/avg6_weighted_f1"] == scores["avg6/weighted_f1"]
        assert run.data.metrics[f"{method}/avt_weighted_f1"] == scores["avt/weighted_f1"]
    tags = run.data.tags
    assert tags["mlflow.source.git.commit"] == tags["dvc.baseline_rev"] == head
    assert (tags["dvc.exp_name"], tags["dvc.stage"], tags["dvc.dirty"]) == ("workspace", "track", "false")
    assert "| ramer |" in tags["mlflow.note.content"]


def test_the_data_set_carries_the_corpus_digest(workspace: Workspace) -> None:
    workspace.track()
    for run in (workspace.run(), *workspace.methods().values()):
        assert run.inputs is not None
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("tiny", CORPUS_DIGEST[:16])
        assert json.loads(used.dataset.profile or "")["digest"] == CORPUS_DIGEST
        assert json.loads(used.dataset.source)["uri"] == "ramer/data/synthetic.py"


def test_a_model_can_be_taken_from_the_run(workspace: Workspace) -> None:
    stale = workspace.root / "models/methods/given_up"
    stale.mkdir()
    (stale / "fold0_seed0.safetensors").write_bytes(b"old")
    workspace.track()
    run = workspace.run()
    held = artifacts(workspace.client, run)
    replicates = [f"fold0_seed{seed}" for seed in range(3)]
    expected = {"params.yaml", "dvc.lock", "data/prepared/corpus.json"}
    expected |= {"results/explorer.html", "results/cards.json"}
    expected |= {"results/report.html", "results/summary.json", "results/headline.json", "results/plots/conditions.png"}
    for modality in MODALITIES:
        encoder, index = f"models/encoders/{modality}", f"models/index/{modality}"
        expected |= {f"{encoder}/encoder.json", f"{encoder}/history.csv"}
        expected |= {f"{encoder}/{name}.safetensors" for name in replicates}
        expected |= {f"{index}/{name}.{ending}" for name in replicates for ending in ("faiss", "json")}
    for method in METHODS:
        expected |= {f"models/methods/{method}/{name}.safetensors" for name in replicates}
        expected |= {f"models/methods/{method}/{name}" for name in ("method.json", "history.csv")}
    assert held == expected
    path = "models/methods/ramer/fold0_seed1.safetensors"
    assert read_tensors(download(workspace, run, path))[1] == {"method": "ramer"}
    assert download(workspace, run, path).read_bytes() == (workspace.root / path).read_bytes()


def test_each_method_is_a_run_below_the_experiment(workspace: Workspace) -> None:
    workspace.track()
    parent, children = workspace.run(), workspace.methods()
    assert set(children) == set(METHODS)
    for method, run in children.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["type"] == METHODS[method]["type"]
        assert run.data.tags["deployable"] == ("false" if method == "oracle" else "true")
        assert run.data.tags["retrieval"] == ("true" if method == "ramer" else "false")
        scores = read_json(workspace.root / "results/methods" / method / "metrics.json")
        for condition in (*CONDITIONS, AVERAGE):
            for metric in ("accuracy", "uar", "weighted_f1", "macro_f1", "ece"):
                assert run.data.metrics[f"{condition}/{metric}"] == scores[f"{condition}/{metric}"]
                assert run.data.metrics[f"std/{condition}_{metric}"] == scores[f"{condition}/{metric}_std"]
        assert run.data.metrics["validation/selection"] == 0.5
    assert children["ramer"].data.params == {
        "method": "ramer",
        "type": "ramer",
        "k": "5",
        "aggregate": "similarity",
        "hidden": "[256, 128]",
    }


def test_intervals_and_p_are_metrics_of_the_method(workspace: Workspace) -> None:
    workspace.track()
    run = workspace.methods()["ramer"].data
    assert (run.metrics["a/weighted_f1_low"], run.metrics["a/weighted_f1_high"]) == (0.4, 0.625)
    found = {key: value for key, value in run.metrics.items() if key.startswith(("difference/", "p/"))}
    name = "avg6_weighted_f1"
    assert found == {
        f"difference/{name}": -0.015,
        f"difference/{name}_low": -0.03,
        f"difference/{name}_high": 0.002,
        f"p/{name}": 0.08,
        f"p/{name}_holm": 0.16,
    }
    assert run.tags["reference"] == "zero_fill"
    assert not [key for key in workspace.methods()["zero_fill"].data.metrics if key.startswith(("difference/", "p/"))]
    assert workspace.run().data.metrics["ramer/avg6_weighted_f1_high"] == 0.625


def test_every_run_has_a_card_and_tags_of_a_line(workspace: Workspace) -> None:
    for number in range(60):
        path = workspace.root / "ramer" / "methods" / f"mine_{number:02}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ANSWER = 42\n", "utf-8")
    workspace.track()
    card = workspace.methods()["ramer"].data.tags["mlflow.note.content"]
    for said in (
        "trained on **tiny**",
        "Classes (2): happy, sad",
        "6 in train, 3 in val, 3 in test",
        CORPUS_DIGEST[:16],
        "| avg6 | 50.0 | 40.0 to 62.5 |",
        "`ramer` is 1.5 points below `zero_fill` on this corpus.",
        "Only 12 speakers were tested",
        "### Licences",
    ):
        assert said in card
    assert "not for deployment" in workspace.methods()["oracle"].data.tags["mlflow.note.content"]
    assert "| ramer | 50.0 [40.0, 62.5] |" in workspace.run().data.tags["mlflow.note.content"]
    for run in (workspace.run(), *workspace.methods().values()):
        for key, value in run.data.tags.items():
            assert key == "mlflow.note.content" or (len(value) <= 250 and "\n" not in value), key
    assert workspace.run().data.tags["dvc.modified"].endswith(" more")
    listed = download(workspace, workspace.run(), "modified_files.txt").read_text("utf-8").splitlines()
    assert listed == [f"ramer/methods/mine_{number:02}.py" for number in range(60)]


def test_a_run_lasts_as_long_as_the_pipeline_took(workspace: Workspace) -> None:
    project = Project(workspace.root)
    for stage, item, seconds in (("prepare", "", 60.0), ("train", "ramer", 30.0), ("evaluate", "ramer", 10.0)):
        keep_seconds(project, stage, item, seconds)
    keep_seconds(project, "train", "oracle", 5000.0)
    write_json(project.method("oracle") / "more.json", {})  # made anew since, elsewhere
    workspace.track()
    run, children = workspace.run(), workspace.methods()
    lasted = {name: child.info.end_time - child.info.start_time for name, child in children.items()}
    assert run.info.end_time - run.info.start_time == 100_000
    assert lasted == {"ramer": 40_000, "zero_fill": 0, "oracle": 0}
    assert abs(run.info.end_time / 1000 - time.time()) < 300
    note = run.data.tags["mlflow.note.content"]
    assert "Duration: 100 s, the sum of the 3 of 20 stages that were measured here." in note


def test_a_method_brings_its_predictions_and_confusion(workspace: Workspace) -> None:
    workspace.track()
    run = workspace.methods()["ramer"]
    assert pd.read_parquet(download(workspace, run, "predictions.parquet"))["p/happy"].eq(0.7).all()
    assert read_json(download(workspace, run, "confusion.json"))["avt"] == [[3, 1], [0, 2]]


def test_a_label_with_signs_that_mlflow_refuses_is_logged_under_a_plain_name(workspace: Workspace) -> None:
    workspace.track()
    metrics = workspace.methods()["ramer"].data.metrics
    assert metrics["a/f1_happy_work"] == 0.25
    assert "a/f1_sad" not in metrics  # undefined for want of rows, not zero


def test_histories_are_means_over_the_replicates_that_reached_the_epoch(workspace: Workspace) -> None:
    workspace.track()
    client = workspace.client
    child, parent = workspace.methods()["zero_fill"].info.run_id, workspace.run().info.run_id
    expected = {}
    for epoch in range(1, EPOCHS + 1):
        reached = [i for i in range(3) if epoch <= EPOCHS - i]
        expected[epoch] = sum(1.0 / epoch + i for i in reached) / len(reached)
    for run_id, section in ((child, "training"), (parent, "pretrain_audio")):
        logged = {point.step: point.value for point in client.get_metric_history(run_id, f"{section}/train_loss")}
        assert logged == pytest.approx(expected)
    counts = {point.step: point.value for point in client.get_metric_history(child, "training/replicates")}
    assert counts == {1: 3.0, 2: 3.0, 3: 2.0, 4: 1.0}
    assert client.get_metric_history(child, "training/val_selection")[0].value == pytest.approx(0.1)


def test_tracking_again_adds_nothing(workspace: Workspace) -> None:
    workspace.track()
    before = snapshot(workspace)
    receipt = workspace.receipt.read_bytes()
    workspace.track()
    assert snapshot(workspace) == before
    assert workspace.receipt.read_bytes() == receipt


@pytest.mark.parametrize("status", ["RUNNING", "FAILED"])
def test_a_run_that_a_crash_left_behind_is_completed(workspace: Workspace, status: str) -> None:
    workspace.track()
    before = snapshot(workspace)
    client, children = workspace.client, workspace.methods()
    client.set_terminated(workspace.run().info.run_id, status)
    client.set_terminated(children["zero_fill"].info.run_id, status)
    client.delete_run(children["oracle"].info.run_id)
    workspace.track()
    after = snapshot(workspace)
    del before["oracle"], after["oracle"]
    assert after == before
    assert workspace.methods()["oracle"].info.status == "FINISHED"


def test_other_results_are_another_run(workspace: Workspace) -> None:
    workspace.track()
    path = workspace.root / "results/methods/ramer/metrics.json"
    write_json(path, {**read_json(path), "avg6/weighted_f1": 0.99})
    workspace.track()
    found = workspace.runs()
    assert {run.data.metrics["ramer/avg6_weighted_f1"] for run in found} >= {0.99}
    assert len(found) == 2
    assert len(workspace.runs("method")) == 2 * len(METHODS)


def test_a_dvc_experiment_is_named_after_itself(workspace: Workspace) -> None:
    workspace.track()
    workspace.track(DVC_EXP_NAME="loamy-lynx", DVC_EXP_BASELINE_REV="a" * 40, DVC_STAGE="track")
    workspace.track(DVC_EXP_NAME="loamy-lynx", DVC_EXP_BASELINE_REV="a" * 40, DVC_STAGE="track")
    named = [run for run in workspace.runs() if run.info.run_name == "loamy-lynx"]
    assert [run.data.tags["dvc.baseline_rev"] for run in named] == ["a" * 40]
    assert len(workspace.runs()) == 2


def test_changed_code_marks_the_run_as_dirty(workspace: Workspace) -> None:
    (workspace.root / "dvc.lock").write_text("schema: '2.0'\nstages: {a: {}}\n", "utf-8")
    workspace.track()
    assert workspace.run().data.tags["dvc.dirty"] == "false"
    commit(workspace.root)
    (workspace.root / "code.py").write_text("ANSWER = 43\n", "utf-8")
    workspace.track()
    dirty = [run.data.tags for run in workspace.runs() if run.data.tags["dvc.dirty"] == "true"]
    assert [tags["dvc.modified"] for tags in dirty] == ["code.py"]


def test_a_new_method_marks_the_run_as_dirty(workspace: Workspace) -> None:
    new = workspace.root / "ramer" / "methods" / "mine.py"
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_text("ANSWER = 42\n", "utf-8")
    workspace.track()
    tags = workspace.run().data.tags
    assert (tags["dvc.dirty"], tags["dvc.modified"]) == ("true", "ramer/methods/mine.py")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("results/methods/ramer/metrics.json", "{broken", "not valid JSON"),
        ("results/methods/ramer/metrics.json", '{"a/uar": "high"}', "a/uar: expected a number, got 'high'"),
        ("results/methods/zero_fill/confusion.json", "[]", "expected a mapping, got list"),
        ("models/methods/ramer/history.csv", "replicate\nfold0_seed0\n", "expected the columns replicate and epoch"),
        ("results/report.html", None, "no such file"),
    ],
)
def test_a_broken_result_fails_its_run_and_names_the_file(
    workspace: Workspace, name: str, content: str | None, fault: str
) -> None:
    path = workspace.root / name
    good = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(ResultsError) as caught:
        workspace.track()
    assert caught.value.faults[0].startswith(f"{name}: ")
    assert fault in caught.value.faults[0]
    assert not workspace.receipt.exists()
    run = workspace.run()
    assert run.info.status == "FAILED"
    assert fault in run.data.tags["ramer.fault"]
    path.write_bytes(good)
    workspace.track()
    assert sorted(run.info.status for run in workspace.runs()) == ["FAILED", "FINISHED"]


def test_a_large_file_is_logged_as_a_pointer_to_the_dvc_remote(workspace: Workspace) -> None:
    params = workspace.root / "params.yaml"
    params.write_text(params.read_text("utf-8") + "tracking: {max_artifact_mb: 0.0004}\n", "utf-8")
    workspace.track()
    run = workspace.run()
    held = artifacts(workspace.client, run)
    index = "models/index/text/fold0_seed0.faiss"
    assert index not in held
    assert "results/report.html" in held
    content = (workspace.root / index).read_bytes()
    assert read_json(download(workspace, run, f"{index}.pointer.json")) == {
        "path": index,
        "bytes": len(content),
        "md5": hashlib.md5(content).hexdigest(),
        "remote": {"name": "lab", "url": "https://store.example/ramer"},
    }


def snapshot(workspace: Workspace) -> dict[str, object]:
    """Everything of every active run that a second ``track`` could change; keyed by the run's name."""
    client = workspace.client
    state: dict[str, object] = {}
    for run in (*workspace.runs(), *workspace.runs("method")):
        history = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
        points = {key: [(p.step, p.value) for p in values] for key, values in history.items()}
        held = sorted(artifacts(client, run))
        state[str(run.info.run_name)] = (run.info.run_id, run.info.status, run.data.params, run.data.tags, points, held)
    return state
