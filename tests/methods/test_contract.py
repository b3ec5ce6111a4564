"""One contract over every method: masks hold, saving loses nothing, rows do not influence each other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ramer.data.prepared import PreparedCorpus
from ramer.files import read_table, write_table
from ramer.inputs import FEATURES, NEIGHBOURS
from ramer.methods import (
    Method,
    MethodOptions,
    build_method,
    load_method,
    method_class,
    method_options,
)
from ramer.methods.prior import Prior
from ramer.methods.shared.fitting import fit_replicate
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.project import Project
from ramer.retrieval.structures import Lists, Neighbours
from ramer.training.batches import Batch
from ramer.training.fitted import History
from ramer.training.labelled_rows import LabelledRows
from ramer.training.workspace import Workspace
from tests.support.entries import ENTRIES, TRAINING, TYPES, data_for

_fitted: dict[str, Method] = {}


def fit_fresh(kind: str, workspace: Workspace) -> Method:
    method = build_method(method_options("mine", ENTRIES[kind]), workspace.shape(), TRAINING)
    fit_replicate(method, data_for(kind, workspace), History())
    return method


def fitted(kind: str, workspace: Workspace) -> Method:
    if kind not in _fitted:
        _fitted[kind] = fit_fresh(kind, workspace)
    return _fitted[kind]


def held_out(kind: str, workspace: Workspace) -> LabelledRows:
    data, method = data_for(kind, workspace), fitted(kind, workspace)
    return LabelledRows(data, data.corpus.rows_in(data.replicate, "test"), method.reads, method.needs_complete)


def poisoned(batch: Batch, value: float) -> Batch:
    """The batch with everything masked replaced: arrays by ``value``, lists by arbitrary database rows."""

    def spoil(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            m: np.where(batch.available[:, MODALITIES.index(m), None], a, np.float32(value)) for m, a in arrays.items()
        }

    near = batch.neighbours
    if near is not None:
        rows = {m: np.where(batch.available[:, i, None], near.lists.rows[m], 0) for i, m in enumerate(MODALITIES)}
        near = replace(near, lists=Lists(rows, spoil(near.lists.scores)))
    return replace(
        batch,
        features=spoil(batch.features),
        states=spoil(batch.states),
        posteriors=spoil(batch.posteriors),
        neighbours=near,
    )


@pytest.mark.parametrize("kind", TYPES)
def test_probabilities_are_distributions_under_every_condition(kind: str, workspace: Workspace) -> None:
    method, test = fitted(kind, workspace), held_out(kind, workspace)
    for condition in CONDITIONS:
        proba = method.predict_proba(test.under(condition))
        assert proba.shape == (len(test), workspace.corpus.classes)
        assert np.isfinite(proba).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [np.nan, 1e15])
def test_what_is_masked_changes_nothing(kind: str, value: float, workspace: Workspace) -> None:
    method, test = fitted(kind, workspace), held_out(kind, workspace)
    for condition in CONDITIONS:
        batch = test.under(condition)
        np.testing.assert_array_equal(
            method.predict_proba(poisoned(batch, value)), method.predict_proba(batch), err_msg=condition
        )


@pytest.mark.parametrize("kind", TYPES)
def test_a_saved_model_predicts_the_same(kind: str, workspace: Workspace, tmp_path: Path) -> None:
    method, test = fitted(kind, workspace), held_out(kind, workspace)
    method.save(tmp_path / "model.safetensors")
    again = load_method(tmp_path / "model.safetensors")
    for condition in CONDITIONS:
        batch = test.under(condition)
        np.testing.assert_array_equal(again.predict_proba(batch), method.predict_proba(batch))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("new", [False, True], ids=["corpus rows", "new clips"])
def test_rows_do_not_influence_each_other(kind: str, new: bool, workspace: Workspace) -> None:
    method, test = fitted(kind, workspace), held_out(kind, workspace)
    some = np.arange(0, len(test), 3)[::-1]
    for condition in ("a", "vt", "avt"):
        batch = test.under(condition)
        if new:
            batch = replace(batch, rows=np.full_like(batch.rows, -1))
        np.testing.assert_allclose(
            method.predict_proba(batch.take(some)), method.predict_proba(batch)[some], atol=1e-5, err_msg=condition
        )


@pytest.mark.parametrize("kind", TYPES)
def test_a_row_with_nothing_gets_the_training_prior(kind: str, workspace: Workspace) -> None:
    method, test = fitted(kind, workspace), held_out(kind, workspace)
    data = test.data
    batch = data.batch(test.rows, np.zeros(3, dtype=bool), test.inputs, method.needs_complete)
    train = data.corpus.rows_in(data.replicate, "train")
    labels = data.corpus.labels(data.replicate)[train]
    prior = np.bincount(labels, minlength=data.corpus.classes) / len(labels)
    np.testing.assert_allclose(method.predict_proba(batch), np.tile(prior, (len(test), 1)))


@pytest.fixture(scope="module")
def spoiled(workspace_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace with other features, states, posteriors and labels of its test rows."""
    root = tmp_path_factory.mktemp("spoiled") / "workspace"
    shutil.copytree(workspace_root, root)
    project = Project(root)
    prepared = project.prepared
    corpus = PreparedCorpus.open(prepared)
    test = corpus.rows_in(corpus.replicates[0], "test")
    for m in MODALITIES:
        for path in (prepared / f"{m}.npy", *(project.states(m) / f"{kind}.npy" for kind in ("states", "posteriors"))):
            table = np.load(path)
            table[..., test, :] = 1 - 2 * table[..., test[::-1], :]
            np.save(path, table)
    rows = read_table(prepared / "rows.parquet")
    named = rows["label"].to_numpy(dtype=object)
    first, second = corpus.label_names[:2]
    named[test] = [second if name == first else first for name in named[test]]
    write_table(prepared / "rows.parquet", rows.assign(label=named))
    return Workspace(project)


@pytest.mark.parametrize("kind", TYPES)
def test_two_fits_agree_to_the_bit_whatever_test_rows_hold(
    kind: str, workspace: Workspace, spoiled: Workspace, tmp_path: Path
) -> None:
    fitted(kind, workspace).save(tmp_path / "one.safetensors")
    fit_fresh(kind, spoiled).save(tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_spoiled_test_rows_are_others(workspace: Workspace, spoiled: Workspace) -> None:
    test = workspace.corpus.rows_in(workspace.corpus.replicates[0], "test")
    was, now = (LabelledRows(data_for("late_product", w), test, frozenset({FEATURES})) for w in (workspace, spoiled))
    assert (was.labels != now.labels).all()
    assert not np.array_equal(was.under("avt").features["audio"], now.under("avt").features["audio"], equal_nan=True)


@pytest.mark.parametrize("kind", TYPES)
def test_only_a_method_that_says_so_gets_the_complete_rows(kind: str, workspace: Workspace) -> None:
    method = method_class(ENTRIES[kind]["type"])
    assert method.needs_complete == (kind == "oracle")
    assert (held_out(kind, workspace).under("a").complete is not None) == method.needs_complete
    if method.needs_complete:
        assert not method.deployable


@pytest.mark.parametrize("kind", [k for k in TYPES if ENTRIES[k]["type"] in ("ramer", "random_neighbours")])
def test_full_rows_are_left_alone_by_every_imputation(kind: str, workspace: Workspace) -> None:
    """Protocol: full-modality rows pass without retrieval, so retrieved rows cannot reach them."""
    test = held_out(kind, workspace)
    whole = test.under("avt").take(np.flatnonzero(test.under("avt").available.all(axis=1)))
    assert len(whole) > 0
    method = fitted(kind, workspace)
    emptied = Lists({m: np.full_like(r, -1) for m, r in whole.lists.rows.items()}, whole.lists.scores)
    other = replace(whole.database, states={m: np.ones_like(s) for m, s in whole.database.states.items()})
    for near in (Neighbours(emptied, whole.database), Neighbours(whole.lists, other)):
        changed = replace(whole, neighbours=near)
        np.testing.assert_array_equal(method.predict_proba(changed), method.predict_proba(whole))


class _AskingOptions(MethodOptions):
    @property
    def extra_inputs(self) -> frozenset[str]:
        return frozenset({NEIGHBOURS})


def test_lists_are_searched_for_a_method_whose_options_ask_for_them_and_for_no_other(workspace: Workspace) -> None:
    clips = np.array([[True, True, True], [True, False, False]])
    asking = Prior(_AskingOptions(type="prior"), workspace.shape(), TRAINING)
    assert asking.reads_lists(clips).all()
    drawing = build_method(method_options("mine", ENTRIES["random_neighbours"]), workspace.shape(), TRAINING)
    filling = build_method(method_options("mine", ENTRIES["zero_fill"]), workspace.shape(), TRAINING)
    assert not (drawing.reads_lists(clips) | filling.reads_lists(clips)).any()
