"""Every network on raw features: it learns, and copes with a corpus that lacks a modality."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.data.prepared import PreparedCorpus
from ramer.evaluation.metrics import weighted_f1
from ramer.files import read_json, read_table, write_json, write_table
from ramer.methods import ModelShape, build_method, load_method, method_class, method_options
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.project import Project
from ramer.training.labelled_rows import LabelledRows
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace
from tests.support.peers import SMALL, build, data_for, fit, rows_of, training

NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("modality_dropout", {}),
    ("modality_dropout", {"form": "transformer"}),
    ("mmin", {}),
    ("if_mmin", {}),
    ("momke", {}),
    ("distil", {}),
    ("simmlm", {}),
    ("primd", {}),
    ("icl_ca", {}),
]
OF_STATES = ("distil", "icl_ca")


@pytest.mark.parametrize(("kind", "options"), NETWORKS)
def test_it_learns(kind: str, options: dict[str, Any], workspace: Workspace) -> None:
    method, data = build(kind, workspace, **options), data_for(kind, workspace)
    history = fit(method, data)
    losses = [line["train_loss"] for line in history.lines]
    assert losses[-1] < losses[0]
    test = rows_of(kind, data, "test")
    predicted = method.predict_proba(test.under("avt")).argmax(axis=1)
    majority = np.full_like(test.labels, method.prior_.argmax())
    assert weighted_f1(test.labels, predicted) > weighted_f1(test.labels, majority) + 0.1


@pytest.mark.parametrize(("kind", "options"), NETWORKS)
def test_only_the_chosen_candidate_is_logged(kind: str, options: dict[str, Any], workspace: Workspace) -> None:
    candidates = {"input_dropouts": [0.0, 0.3]} if "input_dropouts" in SMALL[kind] else {}
    history = fit(build(kind, workspace, training(epochs=2), **options, **candidates), data_for(kind, workspace))
    assert [line["epoch"] for line in history.lines] == [0, 1]


@pytest.fixture(scope="module")
def without_video(workspace_root: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """The tiny corpus as it were if nobody had filmed it."""
    folder = tmp_path_factory.mktemp("without_video") / "prepared"
    shutil.copytree(Project(workspace_root).prepared, folder)
    rows = read_table(folder / "rows.parquet")
    rows["available_video"] = False
    write_table(folder / "rows.parquet", rows)
    np.save(folder / "video.npy", np.empty((len(rows), 0), dtype=np.float32))
    with np.load(folder / "scalers.npz") as file:
        scalers = {name: file[name][:, :0] if name.startswith("video") else file[name] for name in file.files}
    np.savez(folder / "scalers.npz", **scalers)
    info = read_json(folder / "corpus.json")
    info["dims"]["video"] = 0
    write_json(folder / "corpus.json", info)
    return PreparedCorpus.open(folder)


@pytest.mark.parametrize(("kind", "options"), [n for n in NETWORKS if n[0] not in OF_STATES])
def test_a_corpus_may_lack_a_modality(
    kind: str, options: dict[str, Any], without_video: PreparedCorpus, tmp_path: Path
) -> None:
    entry = {"type": kind} | SMALL[kind] | options
    shape = ModelShape(without_video.dims, dict.fromkeys(MODALITIES, 0), without_video.label_names)
    method = build_method(method_options(kind, entry), shape, training(epochs=3))
    data = ReplicateData(without_video, without_video.replicates[0], {})
    fit(method, data)
    method.save(tmp_path / "model.safetensors")
    again = load_method(tmp_path / "model.safetensors")
    test = LabelledRows(data, without_video.rows_in(data.replicate, "test"), method_class(kind).inputs)
    for condition in CONDITIONS:
        proba = again.predict_proba(test.under(condition))
        np.testing.assert_array_equal(proba, method.predict_proba(test.under(condition)))
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_allclose(again.predict_proba(test.under("v")), np.tile(method.prior_, (len(test), 1)))


def test_the_transformers_predictions_ignore_what_is_masked(workspace: Workspace) -> None:
    method, data = (
        build("modality_dropout", workspace, training(epochs=2), form="transformer"),
        data_for("modality_dropout", workspace),
    )
    fit(method, data)
    batch = rows_of("modality_dropout", data, "test").under("a")
    before = method.predict_proba(batch)
    for i, m in enumerate(MODALITIES):
        batch.features[m][~batch.available[:, i]] = 1e30
    np.testing.assert_array_equal(method.predict_proba(batch), before)
