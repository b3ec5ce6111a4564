"""The registered model: which runs become one, what it answers over HTTP, and when it becomes champion."""

from __future__ import annotations

import json
import shutil
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities.model_registry import ModelVersion

from ramer import Predictor
from ramer.errors import RamerError
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.project import Project
from tests.support.commands import call, refused
from tests.support.contents import contents
from tests.support.registered import ask, client_of, probabilities, records, run_track, serving, versions
from tests.support.served_project import corpus_of, prior_of, raw_features, rows_of
from tests.support.tracked import runs

# MLflow warns of its own type hints when mlflow.pyfunc is imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")]


def model_files(root: Path, version: ModelVersion) -> Path:
    """The folder of a version's logged model in the artifact store."""
    return next(root.glob(f"mlartifacts/**/{(version.source or '').removeprefix('models:/')}/artifacts"))


@pytest.fixture
def in_project(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tracked)
    return tracked


def test_the_served_method_is_a_version_called_candidate(tracked: Path) -> None:
    (version,) = versions(tracked)
    assert client_of(tracked).get_model_version_by_alias("ramer", "candidate").version == version.version
    assert version.tags["ramer.corpus_digest"] == corpus_of(tracked).info.digest
    assert version.tags["ramer.method"] == "ramer"
    scores = json.loads((Project(tracked).method_results("ramer") / "metrics.json").read_text("utf-8"))
    assert float(version.tags["ramer.avg6_weighted_f1"]) == scores["avg6/weighted_f1"]
    (run,) = [run for run in runs(client_of(tracked), "method") if run.info.run_id == version.run_id]
    assert run.data.tags["method"] == "ramer"


def test_a_registered_model_predicts_as_the_project_does(in_project: Path) -> None:
    here, there = Predictor.load(in_project), Predictor.load("models:/ramer@candidate")
    for condition in CONDITIONS:
        features = raw_features(in_project, rows_of(in_project), condition)
        one, two = here.predict(features, neighbours=True), there.predict(features, neighbours=True)
        np.testing.assert_array_equal(one.probabilities, two.probabilities)
        assert one.neighbours == two.neighbours


def test_a_damaged_version_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_track(copied)
    monkeypatch.chdir(copied)
    file = next(copied.glob("mlartifacts/**/database/text.npy"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1 << 6
    file.write_bytes(content)
    with pytest.raises(RamerError, match=r"database/text\.npy: damaged: not the content that model\.json describes"):
        Predictor.load("models:/ramer@candidate")
    assert Predictor.load("models:/ramer@candidate", verify=False).label_names


@pytest.mark.parametrize("uri", ["models:/ramer@nobody", "models:/other/1", "models:/ramer/99"])
def test_a_version_that_is_not_there_is_one_line(in_project: Path, uri: str) -> None:
    with pytest.raises(RamerError) as fault:
        Predictor.load(uri)
    (line,) = fault.value.faults
    assert line.startswith(f"{uri}: not in the registry at sqlite:///")


@pytest.mark.parametrize(
    ("alias", "way"),
    [
        ("champion", "no version is called champion yet; `ramer promote` calls the candidate so"),
        ("candidate", "no version is called candidate yet; `dvc repro` registers the model of serve.method"),
    ],
)
def test_an_alias_that_nothing_has_says_what_gives_it(
    copied: Path, monkeypatch: pytest.MonkeyPatch, alias: str, way: str
) -> None:
    monkeypatch.chdir(copied)
    asked: tuple[tuple[str, ...], ...] = (("predict", "none.npz"), ("evaluate", "none.npz"), ("neighbours", "none.npz"))
    for command in (*asked, ("serve",), ("demo",), ("export", "out")):
        line = refused(*command, "--model", f"models:/ramer@{alias}")
        assert line.endswith(way), line
    run_track(copied)
    if alias == "champion":
        with pytest.raises(RamerError, match="`ramer promote`"):
            Predictor.load("models:/ramer@champion")


def test_a_registered_model_is_exported_as_the_project_is(in_project: Path, tmp_path: Path) -> None:
    outs = {"models:/ramer@candidate": tmp_path / "registered", str(in_project): tmp_path / "own"}
    for model, out in outs.items():
        assert call("export", out, "--model", model)[0] == 0
    registered, own = (contents(out, "") for out in outs.values())
    assert registered == own
    assert Predictor.load(tmp_path / "registered").description == Predictor.load(tmp_path / "own").description


def test_a_registry_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RamerError, match="no MLflow store at "):
        Predictor.load("models:/ramer@candidate")
    assert not list(tmp_path.iterdir())


def test_no_pickle_is_in_the_model_and_no_clip_in_its_example(tracked: Path) -> None:
    (version,) = versions(tracked)
    model = model_files(tracked, version)
    endings = {path.suffix for path in model.rglob("*") if path.is_file()}
    assert endings <= {"", ".yaml", ".txt", ".json", ".py", ".csv", ".npy", ".parquet", ".faiss", ".safetensors"}
    example = json.loads((model / "serving_input_example.json").read_text("utf-8"))["dataframe_split"]
    (row,) = example["data"]
    corpus = corpus_of(tracked)
    assert row[example["columns"].index("video")] is None
    mean = corpus.scaler("audio", corpus.replicates[0]).mean
    np.testing.assert_array_equal(np.float32(row[example["columns"].index("audio")]), mean)


def test_tracking_again_adds_no_version(tracked: Path) -> None:
    run_track(tracked)
    assert len(versions(tracked)) == 1


@pytest.mark.parametrize(
    ("registration", "temporary", "registered"),
    [("auto", True, False), ("always", True, True), ("never", False, False)],
)
def test_temporary_copies_register_nothing_unless_told(
    copied: Path, new_store: Path, tmp_path: Path, registration: str, temporary: bool, registered: bool
) -> None:
    main = tmp_path / "main" if temporary else copied
    main.mkdir(exist_ok=True)
    shutil.copy(new_store, main / "mlflow.db")
    run_track(copied, main, serve={"registration": registration})
    assert len(versions(main)) == registered
    assert len(runs(client_of(main), "experiment")) == 1


def test_a_model_above_the_size_limit_is_logged_but_not_registered(
    copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_track(copied, tracking={"max_artifact_mb": 0.001})
    assert not versions(copied)
    assert {run.info.status for run in runs(client_of(copied), "experiment")} == {"FINISHED"}
    (line,) = [r.getMessage() for r in caplog.records if "NOT registered" in r.getMessage()]
    assert line.endswith("tracking.max_artifact_mb is 0.001")


@pytest.fixture(scope="module")
def server(tracked: Path) -> Iterator[str]:
    with serving(tracked) as url:
        yield url


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_server_answers_as_python_does(tracked: Path, server: str, condition: str) -> None:
    features = raw_features(tracked, rows_of(tracked), condition)
    expected = Predictor.load(tracked).predict(features, neighbours=True)
    answers = ask(server, dataframe_records=records(features), params={"neighbours": True})
    np.testing.assert_allclose(probabilities(answers, expected.label_names), expected.probabilities, atol=1e-6)
    for row, answer in enumerate(answers):
        assert answer["predicted"] == expected.labels[row]
        assert answer["missing"] == list(expected.missing(row))
        near = [(n["target"], n["id"], n["label"]) for n in answer["neighbours"]]
        assert near == [(n.target, n.id, n.label) for n in expected.neighbours[row]]


def test_the_server_takes_a_request_without_a_column_and_a_clip_with_nothing(tracked: Path, server: str) -> None:
    features = raw_features(tracked, rows_of(tracked)[:1], "a")
    expected = Predictor.load(tracked).predict(features)
    (answer,) = ask(server, dataframe_records=[{"audio": features["audio"][0].tolist()}])
    np.testing.assert_allclose(probabilities([answer], expected.label_names), expected.probabilities, atol=1e-6)
    (nothing,) = ask(server, dataframe_records=[dict.fromkeys(MODALITIES)])
    np.testing.assert_allclose(probabilities([nothing], expected.label_names)[0], prior_of(tracked), atol=1e-6)
    assert (nothing["available"], nothing["missing"]) == ("", list(MODALITIES))


def test_the_server_takes_whole_numbers_and_records_that_leave_out_what_another_has(tracked: Path, server: str) -> None:
    features = {m: np.round(v) for m, v in raw_features(tracked, rows_of(tracked)[:2]).items()}
    features = {m: np.where(np.isnan(v), 2, v) for m, v in features.items()}
    given = [{m: v[row].astype(int).tolist() for m, v in features.items()} for row in range(2)]
    del given[1]["text"]
    features["text"][1] = np.nan
    expected = Predictor.load(tracked).predict(features)
    answers = ask(server, dataframe_records=given)
    np.testing.assert_allclose(probabilities(answers, expected.label_names), expected.probabilities, atol=1e-6)
    assert [answer["missing"] for answer in answers] == [[], ["text"]]


def test_a_broken_store_is_one_line_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RamerError, match=r"mlflow\.db: file is not a database"):
        Predictor.load("models:/ramer@candidate")


def test_the_server_answers_the_example_of_the_model(tracked: Path, server: str) -> None:
    model = model_files(tracked, versions(tracked)[0])
    (answer,) = ask(server, **json.loads((model / "serving_input_example.json").read_text("utf-8")))
    assert answer["missing"] == ["video"]
    assert "neighbours" not in answer


def test_the_server_says_what_is_wrong_with_a_request(server: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as fault:
        ask(server, dataframe_records=[{"audio": [1.0, 2.0], "video": None, "text": None}])
    with fault.value as refused:
        assert refused.code == 400
        assert "audio: row 0: expected 10 numbers or null, got 2" in refused.read().decode()
