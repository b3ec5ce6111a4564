"""The controls of retrieval: neighbours' labels alone, and the machinery over a shuffled database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ramer.errors import ConfigError
from ramer.methods import Method, available_types, load_method, method_class, method_options
from ramer.methods.label_knn import Choice, LabelKnn
from ramer.methods.ramer import Ramer
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.retrieval.structures import Lists, Neighbours
from ramer.training.batches import Batch
from ramer.training.labelled_rows import LabelledRows
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace
from tests.support.peers import build, data_for, fit, rows_of, training

RETRIEVING = [kind for kind in available_types() if method_class(kind).retrieval]


def vote(batch: Batch, n: np.integer, modality: str, choice: Choice, prior: np.ndarray) -> np.ndarray:
    """One row's smoothed vote in one modality, neighbour by neighbour."""
    near: list[tuple[int, float]] = []
    for row, score in zip(batch.lists.rows[modality][n], batch.lists.scores[modality][n], strict=True):
        if row >= 0 and batch.database.labels[row] >= 0 and len(near) < choice.k:
            near.append((int(batch.database.labels[row]), float(score)))
    votes = np.zeros(len(prior))
    whole = sum(np.exp(score / choice.tau) for _, score in near)
    for label, score in near:
        votes[label] += np.exp(score / choice.tau) / whole
    return (votes * len(near) + choice.smoothing * prior) / (len(near) + choice.smoothing)


@pytest.mark.parametrize("combine", ["product", "vote"])
def test_label_knn_equals_a_plain_loop(combine: str, workspace: Workspace) -> None:
    method, data = build("label_knn", workspace, combine=combine, k=8), data_for("label_knn", workspace)
    assert isinstance(method, LabelKnn)
    fit(method, data)
    method.temperatures_[:] = 1.0  # as it is before calibration
    for condition in ("a", "vt", "avt"):
        batch = rows_of("label_knn", data, "test").under(condition)
        got = method.predict_proba(batch)
        for n in np.flatnonzero(batch.available.any(axis=1)):
            held = [m for i, m in enumerate(MODALITIES) if batch.available[n, i]]
            votes = [vote(batch, n, m, method.choice_, method.prior_) for m in held]
            expected = np.mean(votes, axis=0)
            if combine == "product":
                expected = np.prod(votes, axis=0) / method.prior_ ** (len(held) - 1)
            np.testing.assert_allclose(got[n], expected / expected.sum(), atol=1e-9)


def test_label_knn_reads_labels_of_training_rows_alone(workspace: Workspace) -> None:
    data = data_for("label_knn", workspace)
    labelled = np.flatnonzero(data.database.labels >= 0)
    train = data.corpus.rows_in(data.replicate, "train")
    assert np.isin(labelled, train).all()
    assert len(labelled)


def test_a_row_without_labelled_neighbours_gets_the_prior(workspace: Workspace) -> None:
    method, data = build("label_knn", workspace), data_for("label_knn", workspace)
    fit(method, data)
    method.temperatures_[:] = 1.0
    batch = rows_of("label_knn", data, "test").under("at")
    batch.database.labels[:] = -1
    np.testing.assert_allclose(method.predict_proba(batch), np.tile(method.prior_, (len(batch), 1)), atol=1e-12)
    del data.__dict__["database"]


def shuffled(kind: str, workspace: Workspace, **options: object) -> tuple[Method, ReplicateData, LabelledRows]:
    method = build(kind, workspace, training(epochs=3), database="shuffled", **options)
    data = data_for(kind, workspace)
    return method, data, LabelledRows(data, data.corpus.rows_in(data.replicate, "test"), method.reads)


@pytest.mark.parametrize("kind", RETRIEVING)
def test_every_retrieval_method_takes_a_shuffled_database(kind: str, workspace: Workspace, tmp_path: Path) -> None:
    method, data, test = shuffled(kind, workspace)
    fit(method, data)
    method.save(tmp_path / "one.safetensors")
    again = load_method(tmp_path / "one.safetensors")
    real = LabelledRows(data, test.rows, method_class(kind).inputs)
    changed = False
    for condition in CONDITIONS:
        proba = method.predict_proba(test.under(condition))
        np.testing.assert_array_equal(again.predict_proba(test.under(condition)), proba)
        changed |= not np.array_equal(method.predict_proba(real.under(condition)), proba)
    assert changed
    other, _, _ = shuffled(kind, workspace)
    fit(other, data_for(kind, workspace))
    other.save(tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def with_pure_lists(batch: Batch, labels: np.ndarray) -> Batch:
    """The batch with lists of rows that all share the query's label."""
    rows = {m: np.full_like(r, -1) for m, r in batch.lists.rows.items()}
    scores = {m: np.full_like(s, np.nan) for m, s in batch.lists.scores.items()}
    for i, m in enumerate(MODALITIES):
        for n in np.flatnonzero(batch.available[:, i]):
            same = (batch.database.labels == labels[n]) & batch.database.available[:, i]
            near = np.setdiff1d(np.flatnonzero(same), batch.rows[n])[: rows[m].shape[1]]
            rows[m][n, : len(near)], scores[m][n, : len(near)] = near, np.linspace(0.9, 0.1, len(near))
    return replace(batch, neighbours=Neighbours(Lists(rows, scores), batch.database))


@pytest.mark.parametrize("kind", ["ramer", "label_knn", "icl_ca"])
def test_a_shuffled_database_is_label_blind(kind: str, workspace: Workspace) -> None:
    """Where every neighbour has the right label, what a shuffled database hands out is as pure as chance."""
    purity = {}
    for database in ("real", "shuffled"):
        method, data = build(kind, workspace, database=database), data_for(kind, workspace)
        fit(method, data)
        if isinstance(method, LabelKnn):
            method.choice_ = Choice(10, 0.1, 1.0)
        rows = LabelledRows(data, data.corpus.rows_in(data.replicate, "train"), method.reads)
        shares = [
            method.diagnose(with_pure_lists(rows.under(c), rows.labels), rows.labels)["label_purity"]
            for c in ("a", "v", "t", "av", "at", "vt")
        ]
        purity[database] = float(np.mean(shares))
    assert purity["real"] == 1.0
    prior = np.bincount(rows.labels) / len(rows)
    assert abs(purity["shuffled"] - (prior**2).sum()) < 0.08


def test_what_is_available_stays_so(workspace: Workspace) -> None:
    method, data, test = shuffled("ramer", workspace)
    assert isinstance(method, Ramer)
    fit(method, data)
    real = LabelledRows(data, test.rows, Ramer.inputs)
    for condition in CONDITIONS:
        found, other = method.neighbours_of(real.under(condition)), method.neighbours_of(test.under(condition))
        np.testing.assert_array_equal(found.retrieved, other.retrieved)
        np.testing.assert_array_equal(found.scores, other.scores)


def test_random_neighbours_are_not_shuffled_again() -> None:
    with pytest.raises(ConfigError, match=r"methods\.mine\.database"):
        method_options("mine", {"type": "random_neighbours", "database": "shuffled"})
