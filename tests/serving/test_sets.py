"""A served model says "one of these" and "I don't know" as its validation rows allow, wherever its files are."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ramer.cli import app
from ramer.errors import ModelError
from ramer.evaluation.conformal_record import CONFORMAL_FILE, ConformalScores
from ramer.modalities import CONDITIONS
from ramer.project import Project
from ramer.serving.json_records import predict_table
from ramer.serving.modelfiles import export_model
from ramer.serving.predictor import Predictor
from tests.support.exported import as_format_1
from tests.support.served_project import build_project, corpus_of, raw_features, rows_of, save_npz

COVERAGE = 0.7


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_project(tmp_path_factory.mktemp("sets") / "project", {"zero_fill": {"type": "zero_fill"}})


@pytest.fixture(scope="module")
def exported(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    export_model(project, folder)
    return folder


def test_validation_rows_count_once_under_each_condition_whose_modalities_they_hold(project: Path) -> None:
    scores = ConformalScores.read_verified(Project(project).method_results("zero_fill") / CONFORMAL_FILE)
    held = corpus_of(project).available[rows_of(project, "val")]
    for condition in CONDITIONS:
        wanted = ["avt".index(letter) for letter in condition]
        assert len(scores.folds["0"][condition].truth) == int(held[:, wanted].all(axis=1).sum())


@pytest.mark.parametrize("condition", ["t", "av", "avt"])
def test_a_set_holds_the_classes_that_validation_rows_say(project: Path, condition: str) -> None:
    predictor = Predictor.load(project)
    assert predictor.conformal is not None
    said = predictor.predict(raw_features(project, rows_of(project), condition), coverage=COVERAGE, risk=0.5)
    assert said.answered is not None
    for clip, names in enumerate(said.sets):
        pattern = "".join(x for x, held in zip("avt", said.available[clip], strict=True) if held)
        assert names[:1] == (said.labels[clip],)
        if not pattern:
            assert set(names) == set(said.label_names)
            assert not said.answered[clip]
            continue
        truth = sorted(predictor.conformal[pattern].truth, reverse=True)
        least = truth[math.ceil((len(truth) + 1) * COVERAGE) - 1]
        likely = {n for n, p in zip(said.label_names, said.probabilities[clip], strict=True) if p >= least - 1e-5}
        assert set(names) == likely | {said.labels[clip]}
    assert len({len(names) for names in said.sets}) > 1


def test_an_exported_model_gives_the_same_sets(project: Path, exported: Path) -> None:
    features = raw_features(project, rows_of(project), "at")
    here, there = (Predictor.load(p).predict(features, coverage=COVERAGE, risk=0.4) for p in (project, exported))
    assert here.sets == there.sets
    np.testing.assert_array_equal(here.answered, there.answered)


def test_nothing_is_said_that_was_not_asked_for(project: Path) -> None:
    said = Predictor.load(project).predict(raw_features(project, rows_of(project)[:2]))
    assert (said.sets, said.answered, said.notes) == ((), None, ())


def test_too_few_validation_rows_are_told(project: Path) -> None:
    said = Predictor.load(project).predict(raw_features(project, rows_of(project), "a"), coverage=0.995)
    assert any(note.startswith("a: ") and note.endswith("sets hold all classes") for note in said.notes)


def test_records_have_their_sets(project: Path) -> None:
    predictor = Predictor.load(project)
    clips = pd.DataFrame({"text": [[0.1] * predictor.dims["text"], None]})
    table = predict_table(predictor, clips, coverage=COVERAGE, risk=0.3)
    assert set(table["set"][1]) == set(predictor.label_names)
    assert table["answered"].dtype == bool
    assert "set" not in predict_table(predictor, clips)


def test_ramer_predict_writes_them(project: Path, tmp_path: Path) -> None:
    clips = save_npz(tmp_path / "clips.npz", project, rows_of(project))
    out = tmp_path / "out.csv"
    asked = ["predict", str(clips), "--model", str(project), "-o", str(out), "--coverage", "0.7", "--risk", "0.4"]
    assert CliRunner().invoke(app, asked).exit_code == 0
    table = pd.read_csv(out)
    assert all(first.split("|")[0] == p for first, p in zip(table["set"], table["predicted"], strict=True))
    assert table["answered"].dtype == bool
    refused = CliRunner().invoke(app, ["predict", str(clips), "--model", str(project), "--coverage", "90"])
    assert refused.exit_code == 2
    assert refused.stderr == "error: coverage: expected a share between 0 and 1, got 90\n"


def test_a_changed_bit_is_refused(project: Path, exported: Path, tmp_path: Path) -> None:
    for source, file in (
        (exported, Path(CONFORMAL_FILE)),
        (project, Project(Path()).method_results("zero_fill") / CONFORMAL_FILE),
    ):
        copy = tmp_path / source.name
        shutil.copytree(source, copy)
        text = (copy / file).read_text("utf-8")
        (copy / file).write_text(text.replace("true", "false", 1), "utf-8")
        with pytest.raises(ModelError, match=r"conformal\.json: damaged"):
            Predictor.load(copy)


def test_a_model_from_before_sets_predicts_and_says_what_to_do(project: Path, tmp_path: Path) -> None:
    export_model(project, tmp_path / "model")
    (tmp_path / "model" / CONFORMAL_FILE).unlink()
    as_format_1(tmp_path / "model")
    predictor = Predictor.load(tmp_path / "model")
    features = raw_features(project, rows_of(project)[:3])
    assert len(predictor.predict(features).labels) == 3
    with pytest.raises(ModelError) as fault:
        predictor.predict(features, coverage=0.9)
    assert fault.value.faults == [
        "the model holds nothing that sets follow from: run `dvc repro` in its project, then export it again"
    ]


def test_scores_of_other_checkpoints_are_not_used(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path / "copy")
    path = Project(tmp_path / "copy").method_results("zero_fill") / CONFORMAL_FILE
    ConformalScores.read_verified(path).model_copy(update={"trained": "0" * 64}).write(path)
    assert Predictor.load(tmp_path / "copy").conformal is None
