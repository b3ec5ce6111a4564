"""``ramer evaluate``: a model on labelled clips that it never saw, with the scores that a plain computation gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ramer.cli import app
from ramer.evaluation.metrics import weighted_f1
from ramer.files import read_table
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.pipeline.new_clips import EVALUATION_FILE, Evaluation
from ramer.project import Project
from ramer.serving.modelfiles import export_model
from ramer.serving.predictor import Predictor
from tests.support.served_project import build_project, corpus_of, raw_features, rows_of, save_npz

METHOD = "zero_fill"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_project(tmp_path_factory.mktemp("new") / "project", {METHOD: {"type": METHOD}})


@pytest.fixture(scope="module")
def model(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "model"
    export_model(project, out)
    return out


def labels_of(project: Path) -> list[str]:
    corpus = corpus_of(project)
    return [corpus.label_names[i] for i in corpus.labels(corpus.replicates[0])[rows_of(project)]]


def clips(path: Path, project: Path, **changes: Any) -> Path:
    names = list(corpus_of(project).label_names)
    speakers = corpus_of(project).speakers[rows_of(project)].astype(str)
    held = {"label": np.array([names.index(n) for n in labels_of(project)]), "label_names": np.array(names)}
    return save_npz(path, project, rows_of(project), **(held | {"speaker": speakers} | changes))


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def evaluated(project: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    ran = run(clips(folder / "new.npz", project), "--model", model, "--out", folder / "out")
    assert ran.exit_code == 0, ran.output
    assert "weighted F1" in ran.stdout
    return folder / "out"


def test_scores_are_those_of_the_model_s_own_predictions(project: Path, model: Path, evaluated: Path) -> None:
    done, predictor = Evaluation.read(evaluated / EVALUATION_FILE), Predictor.load(model)
    names = list(predictor.label_names)
    truth = np.array([names.index(n) for n in labels_of(project)])
    scores = {s.condition: s for s in done.scores if s.metric == "weighted_f1"}
    for condition in CONDITIONS:
        said = predictor.predict(raw_features(project, rows_of(project), condition))
        score = scores[condition]
        assert score.value == pytest.approx(weighted_f1(truth, said.probabilities.argmax(axis=1)), abs=1e-5)
        assert score.low < score.value < score.high
    expected = np.mean([scores[c].value for c in CONDITIONS if c != "avt"])
    assert scores["avg6"].value == pytest.approx(expected, abs=1e-5)
    assert done.clips == len(truth)


def test_the_report_and_the_explorer_are_those_of_a_run(evaluated: Path) -> None:
    project = Project(evaluated)
    page = project.report.read_text("utf-8")
    assert METHOD in page
    assert "prior" in page  # what the model has to beat
    assert 'id="sets"' in page  # coverage on the new clips
    assert project.explorer.is_file()
    assert not list(evaluated.parent.glob(".*"))


def test_the_report_is_of_one_model_and_claims_no_choice(project: Path, evaluated: Path) -> None:
    page = Project(evaluated).report.read_text("utf-8")
    said = " ".join(re.sub("<[^>]*>", "", page[page.index("<body>") :]).split())
    trained_on, clips = corpus_of(project).name, len(rows_of(project))
    assert re.search(
        rf"{METHOD} of model, trained on {trained_on}, has [\d.]+ points of weighted F1 on {clips} clips", said
    )
    assert "the mean of 2 replicates" in said
    assert "the class frequencies of the training rows: what guessing gives" in said
    for untrue in (
        "on validation",
        "alidation rows chose",
        "already loads",
        "1 seed",
        "lucky run",
        "prepare.folds",
        "1 fold",
    ):
        assert untrue not in said, untrue
    assert "as the parameters ask" not in said
    assert "Validation: the score that chooses" not in said
    assert 'href="#use"' not in page
    assert 'href="#training"' not in page
    assert not Project(evaluated).cards.exists()  # a card is of what a pipeline trained
    names = labels_of(project)
    for name in corpus_of(project).label_names:  # the corpus' own table, whose only split is the test split
        row = f'<th scope="row"><span class="class">{name}</span></th><td>{names.count(name)}</td></tr>'
        assert row in page[page.index('id="corpus-words"') :]


def test_one_clip_and_an_absent_modality_are_said(project: Path, model: Path, tmp_path: Path) -> None:
    rows, names = rows_of(project)[:1], list(corpus_of(project).label_names)
    label = np.array([names.index(labels_of(project)[0])])
    one = save_npz(tmp_path / "one.npz", project, rows, label=label, label_names=np.array(names), V=None)
    ran = run(one, "--model", model, "--out", tmp_path / "out")
    assert ran.exit_code == 0, ran.output
    assert "A single row was tested: no interval, p or verdict of it means anything." in ran.stderr
    absent = "No test row holds video: condition v has nothing to read, av is as a, vt is as t, avt is as at."
    assert absent in ran.stderr
    page = Project(tmp_path / "out").report.read_text("utf-8")
    assert "A single row was tested: no interval, p or verdict of it means anything." in page
    assert absent in page
    assert "nan" not in re.sub("<[^>]*>", "", page[page.index("<body>") :])
    for wrong in ("1 clips", "1 rows", "1 speakers"):
        assert wrong not in page


def test_a_label_of_another_corpus_is_mapped_or_refused(project: Path, model: Path, tmp_path: Path) -> None:
    names = list(corpus_of(project).label_names)
    others = ["Anger", names[1], "joy", *names[3:]]  # neutral, angry, happy ...
    source = clips(tmp_path / "other.npz", project, label_names=np.array(others))
    refused = run(source, "--model", model, "--out", tmp_path / "out")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert f"label: Anger, joy: none of the model's {', '.join(names)}" in refused.stderr
    assert not (tmp_path / "out").exists()
    mapped = run(source, "--model", model, "--out", tmp_path / "out", "--map", f"Anger={names[0]}", "--map", "joy=")
    assert mapped.exit_code == 0, mapped.output
    done, left = Evaluation.read(tmp_path / "out" / EVALUATION_FILE), labels_of(project).count(names[2])
    assert done.clips == len(rows_of(project)) - left
    assert any(f"{left} clips whose label is mapped to nothing are left out" in note for note in done.notes)
    table = read_table(Project(tmp_path / "out").method_results(METHOD) / "predictions.parquet")
    assert (table[table["condition"] == "a"]["label"] == names[0]).sum() == labels_of(project).count(names[0])


BAD = {
    "unknown target": (["--map", "angry=nothing"], "--map angry=nothing: 'nothing' is none of"),
    "unknown label": (["--map", "bored=angry"], "--map bored=angry: no clip is labelled 'bored'"),
    "no sign": (["--map", "angry"], "--map angry: expected OTHER=OURS"),
    "split": (["--split", "test"], "split: expected 'test' among its splits, got none"),
    "labels": (["--labels", "labels.csv"], "--labels is for a folder, a packed corpus holds its labels"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_option_is_one_line(project: Path, model: Path, tmp_path: Path, case: str) -> None:
    options, line = BAD[case]
    ran = run(clips(tmp_path / "new.npz", project), "--model", model, "--out", tmp_path / "out", *options)
    assert ran.exit_code == 2
    assert line in ran.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_things_is_not_replaced(project: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("chapter one")
    ran = run(clips(tmp_path / "new.npz", project), "--model", model, "--out", tmp_path / "out")
    assert ran.exit_code == 2
    assert "holds something else than an evaluation" in ran.stderr
    assert (tmp_path / "out" / "thesis.tex").exists()


def test_feature_folders_with_a_table_of_labels_give_what_the_packed_file_gives(
    project: Path, model: Path, evaluated: Path, tmp_path: Path
) -> None:
    features, ids = raw_features(project, rows_of(project)), corpus_of(project).ids[rows_of(project)]
    speakers = corpus_of(project).speakers[rows_of(project)]
    for m in MODALITIES:
        (tmp_path / "clips" / m).mkdir(parents=True)
        for clip, vector in zip(ids, features[m], strict=True):
            if np.isfinite(vector).all():
                np.save(tmp_path / "clips" / m / f"{clip}.npy", vector)
    lines = [f"{c},{n},{s}" for c, n, s in zip(ids, labels_of(project), speakers, strict=True)]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["clip,label,speaker", *lines]))
    folders = [part for m in MODALITIES for part in (f"--{m}", m)]
    refused = run(tmp_path / "clips", "--model", model, "--out", tmp_path / "out", *folders)
    assert (refused.exit_code, "expected --labels" in refused.stderr) == (2, True)
    ran = run(tmp_path / "clips", "--model", model, "--labels", labels, "--out", tmp_path / "out", *folders)
    assert ran.exit_code == 0, ran.output
    tables = [
        read_table(Project(out).method_results(METHOD) / "predictions.parquet").set_index(["condition", "id"])
        for out in (evaluated, tmp_path / "out")
    ]
    names, said = corpus_of(project).label_names, labels_of(project)
    entries = {clip: {"emo": names.index(n)} for clip, n in zip(ids, said, strict=True)}
    np.savez(tmp_path / "label.npz", whole_corpus=np.array(entries, dtype=object))
    maps = [part for n in sorted(set(said)) for part in ("--map", f"{names.index(n)}={n}")]
    merbench: list[str | Path] = ["--labels", tmp_path / "label.npz", "--out", tmp_path / "merbench", *folders, *maps]
    ran = run(tmp_path / "clips", "--model", model, *merbench)
    assert ran.exit_code == 0, ran.output
    both = [Evaluation.read(tmp_path / o / EVALUATION_FILE).scores for o in ("out", "merbench")]
    assert [s.value for s in both[0]] == [s.value for s in both[1]]
    held = tables[1].index  # a clip that holds nothing has no file
    columns = [c for c in tables[0] if str(c).startswith("p/")]
    np.testing.assert_allclose(tables[0].loc[held, columns], tables[1][columns], atol=1e-6)


def test_an_evaluation_loses_no_file_of_somebody_else(evaluated: Path, project: Path, model: Path) -> None:
    again = (clips(evaluated.parent / "new.npz", project), "--model", model, "--out", evaluated)
    for path in (evaluated / "mynotes.txt", Project(evaluated).results / "mine.txt"):
        path.write_text("mine")
        ran = run(*again)
        assert ran.exit_code == 2
        lost = path.relative_to(evaluated)
        told = f"{evaluated}: holds {lost}, no part of the evaluation, which alone would be replaced"
        assert ran.stderr == f"error: {told}\n"
        path.unlink()
    assert run(*again).exit_code == 0


def test_two_classes_of_one_name_are_refused(project: Path, model: Path, tmp_path: Path) -> None:
    names = list(corpus_of(project).label_names)
    for other in (names[0], f"{names[0]} "):
        twice = clips(tmp_path / "new.npz", project, label_names=np.array([names[0], other, *names[2:]]))
        ran = run(twice, "--model", model, "--out", tmp_path / "out")
        assert ran.exit_code == 2
        assert "label_names: expected distinct, non-empty names" in ran.stderr


def test_spaces_around_a_label_do_not_matter(project: Path, model: Path, tmp_path: Path) -> None:
    names = list(corpus_of(project).label_names)
    spaced = clips(tmp_path / "new.npz", project, label_names=np.array([f"{names[0]} ", "  bored ", *names[2:]]))
    ran = run(spaced, "--model", model, "--out", tmp_path / "out", "--map", f"bored = {names[1]}")
    assert ran.exit_code == 0, ran.output
