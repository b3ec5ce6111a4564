"""A method that searches by keys of its own is served, exported, explained and grown like any other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer import Predictor
from ramer.errors import ModelError
from ramer.files import read_json, read_table
from ramer.methods import load_method
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.project import Project
from ramer.serving.additions import add_to_database
from ramer.serving.explain import explain_clip
from ramer.serving.modelfiles import export_model
from tests.support.exported import reseal
from tests.support.served_project import build_project, corpus_of, raw_features

METHODS: dict[str, dict[str, Any]] = {
    "plus": {"type": "ramer_plus", "k": 5},
    "recall": {"type": "retrieval_distil", "k": 5, "keys": "features"},
    "shuffled": {"type": "ramer_plus", "k": 5, "database": "shuffled"},
    "ridge": {"type": "ramer_plus", "fill": "ridge"},
}
SEARCHING: dict[str, dict[str, Any]] = {  # the database that lists are made of, whose rows lend states
    "searching": {"type": "ramer", "k": 5, "keys": "learned"},
    "searching_shuffled": {"type": "ramer", "k": 5, "keys": "learned", "database": "shuffled"},
    "searching_features": {"type": "ramer", "k": 5, "keys": "features", "retrieve": "features"},
}
NEW = 20  # pool clips that are taken out of the model and added again


@pytest.fixture(scope="module")
def lending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists of labelled rows and the pool."""
    return build_project(
        tmp_path_factory.mktemp("lending"),
        SEARCHING,
        prepare={"seeds": [0], "folds": 3},
        retrieval={"width": 4, "scope": "all"},
        serve={"method": "searching"},
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folds, so that a row of one replicate's database is tested by another; lists of labelled rows alone."""
    return build_project(
        tmp_path_factory.mktemp("own"),
        METHODS,
        prepare={"seeds": [0], "folds": 3},
        retrieval={"width": 4, "scope": "train"},
        serve={"method": "plus"},
    )


@pytest.fixture
def where(request: pytest.FixtureRequest, name: str) -> Path:
    """The project that a method is in."""
    found: Path = request.getfixturevalue("project" if name in METHODS else "lending")
    return found


def test_evaluation_export_and_project_say_the_same(project: Path, lending: Path, tmp_path: Path) -> None:
    for name, where in dict.fromkeys(METHODS, project).items() | dict.fromkeys(SEARCHING, lending).items():
        corpus = corpus_of(where)
        export_model(where, tmp_path / name, name)
        assert not (tmp_path / name / "index").exists()
        assert (tmp_path / name / "database/audio.npy").exists() == (name in SEARCHING)
        for replicate, test in ((r, corpus.rows_in(r, "test")) for r in corpus.replicates):
            position = replicate.index
            for predictor in (Predictor.load(where, name), Predictor.load(tmp_path / name)):
                model = predictor.replicates[position]
                raw = predictor.vectors(raw_features(where, test, "a"))
                held = np.stack([np.isfinite(raw[m]).all(axis=1) for m in MODALITIES], axis=1)
                said = model.method.predict_proba(model.batch(raw, held))
                table = read_table(Project(where).method_results(name) / "predictions.parquet")
                table = table[(table["replicate"] == replicate.name) & (table["condition"] == "a")]
                columns = [f"p/{label}" for label in predictor.label_names]
                np.testing.assert_allclose(said, table[columns], atol=1e-5)


@pytest.mark.parametrize("name", ["plus", "searching"])
def test_the_pool_may_be_found_and_no_held_out_row_ever_is(where: Path, name: str) -> None:
    corpus = corpus_of(where)
    found: set[int] = set()
    for replicate, model in zip(corpus.replicates, Predictor.load(where, name).replicates, strict=True):
        database = model.database
        assert database is not None
        held = np.flatnonzero(database.available.any(axis=1))
        assert set(held) <= set(corpus.rows_in(replicate, "train", "pool"))
        assert (database.labels[corpus.rows_in(replicate, "pool")] == -1).all()
        near = model.method.neighbours_of(model.batch(*_clips(where, corpus.rows_in(replicate, "test"))))
        assert near is not None
        used = near.rows[near.rows >= 0]
        assert np.isin(used, held).all()
        found |= set(used)
    assert found & set(corpus.rows_in(corpus.replicates[0], "pool"))


def _clips(project: Path, rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    raw = raw_features(project, rows, "a")
    return raw, np.stack([np.isfinite(raw[m]).all(axis=1) for m in MODALITIES], axis=1)


@pytest.mark.parametrize("name", ["plus", "searching"])
def test_a_clip_is_explained_without_its_own_speaker(where: Path, name: str) -> None:
    corpus = corpus_of(where)
    row = next(r for r in corpus.rows_in(corpus.replicates[0], "test") if corpus.available[r].all())
    told = explain_clip(where, str(corpus.ids[row]), "a", name)
    assert {n.target for n in told.neighbours} == {"video", "text"}
    speakers = dict(zip(corpus.ids, corpus.speakers, strict=True))
    assert corpus.speakers[row] not in {speakers[n.id] for n in told.neighbours}


@pytest.mark.parametrize("name", [name for name in (*METHODS, *SEARCHING) if name != "ridge"])
def test_a_database_grows_without_training(where: Path, tmp_path: Path, name: str) -> None:
    export_model(where, tmp_path / "whole", name)
    corpus = corpus_of(where)
    pool = corpus.rows_in(corpus.replicates[0], "pool")
    new = pool[corpus.available[pool].any(axis=1)][-NEW:]
    model = _without(tmp_path / "whole", tmp_path / "model", new)
    before, whole = Predictor.load(model), Predictor.load(tmp_path / "whole")
    heads = {p.name: p.read_bytes() for p in (model / "heads").iterdir()}
    ids = [str(i) for i in corpus.ids[new]]
    made = add_to_database(model, ids, {**raw_features(where, new)})
    assert made.clips == NEW
    grown, changed, named = Predictor.load(model), False, set()
    for condition in CONDITIONS:
        asked = raw_features(where, corpus.rows_in(corpus.replicates[0], "test"), condition)
        got, expected = grown.predict(asked, neighbours=True), whole.predict(asked, neighbours=True)
        np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=1e-6)
        changed |= bool((before.predict(asked).probabilities != got.probabilities).any())
        named |= {n.id for near in got.neighbours for n in near}
    assert {p.name: p.read_bytes() for p in (model / "heads").iterdir()} == heads
    assert read_json(model / "model.json")["additions"][0]["clips"] == NEW
    assert changed
    assert named & set(ids)


def test_a_fitted_model_that_retrieves_nothing_takes_no_clips(project: Path, tmp_path: Path) -> None:
    model, corpus = tmp_path / "model", corpus_of(project)
    export_model(project, model, "ridge")
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    rows = corpus.rows_in(corpus.replicates[0], "pool")[:3]
    with pytest.raises(ModelError, match="method 'ridge' retrieves nothing as it was fitted") as refused:
        add_to_database(model, ["x", "y", "z"], {**raw_features(project, rows)})
    assert len(refused.value.faults) == 1
    assert {path: path.read_bytes() for path in model.rglob("*") if path.is_file()} == before


def _without(whole: Path, model: Path, rows: np.ndarray) -> Path:
    """An exported model as if these rows had not been there."""
    shutil.copytree(whole, model)
    table = read_table(model / "database/rows.parquet")
    kept = ~table["row"].isin(rows).to_numpy()
    table[kept].to_parquet(model / "database/rows.parquet", index=False)
    for path in (model / "database").glob("*.npy"):
        np.save(path, np.load(path)[:, kept])
    return reseal(model)


def test_the_weights_are_not_negative_and_the_taught_member_needs_a_pool(project: Path) -> None:
    method = load_method(Project(project).method("plus") / "fold0_seed0.safetensors")
    weights = method.tensors()["weights_"]
    assert len(weights) == 5
    assert (weights >= 0).all()
    assert weights[2] > 0  # retrieval's
