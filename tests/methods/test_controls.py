"""The controls without retrieval, each against what it claims to compute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from ramer.errors import ConfigError
from ramer.methods import method_options
from ramer.methods.per_condition import PerCondition
from ramer.methods.regress_fill import RegressFill, ridge
from ramer.methods.shared.imputing import ImputingMethod, normalised
from ramer.methods.shared.masked_network import MaskedTraining, NeuralMethod
from ramer.modalities import MODALITIES
from ramer.training.batches import Batch
from ramer.training.fitted import History
from ramer.training.workspace import Workspace
from tests.support.peers import build, data_for, fit, rows_of, training, training_rows


def test_the_ensemble_is_the_mean_over_what_is_there(workspace: Workspace) -> None:
    method, data = build("unimodal_ensemble", workspace), data_for("unimodal_ensemble", workspace)
    fit(method, data)
    method.temperatures_[:] = 1.0  # as it is before calibration
    batch = rows_of("unimodal_ensemble", data, "test").under("at")
    proba = method.predict_proba(batch)
    for n in range(len(batch)):
        held = [batch.posteriors[m][n].astype(np.float64) for i, m in enumerate(MODALITIES) if batch.available[n, i]]
        if held:
            np.testing.assert_allclose(proba[n], np.mean(held, axis=0), atol=1e-6)


def test_ridge_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)) + 3, rng.normal(size=(40, 2)) - 1
    model = Ridge(alpha=2.5).fit(x, y)
    found = ridge(x, y, 2.5)
    np.testing.assert_allclose(found[:-1], model.coef_.T, atol=1e-10)
    np.testing.assert_allclose(found[-1], model.intercept_, atol=1e-10)


def linear_batch(batch: Batch) -> Batch:
    """The batch with video states that are a rotation of the audio states: a relation that ridge can learn."""
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(batch.states["audio"].shape[1],) * 2))[0]
    video = normalised(batch.states["audio"]) @ rotation.astype(np.float32)
    held = batch.available[:, :1] & batch.available[:, 1:2]
    states = {**batch.states, "video": np.where(held, video, np.float32(np.nan))}
    available = batch.available.copy()
    available[:, 1] = held[:, 0]
    return replace(batch, states=states, available=available)


def test_regress_fill_finds_a_linear_relation_and_says_what_it_imputed(workspace: Workspace) -> None:
    method, data = build("regress_fill", workspace), data_for("regress_fill", workspace)
    assert isinstance(method, RegressFill)
    train = training_rows("regress_fill", data)
    whole = linear_batch(train.complete)
    train._cache["avt"] = whole
    method.maps_ = method._fit_maps(train, penalty=1e-6)
    both = whole.available[:, [0, 1]].all(axis=1)
    shown = whole.available & np.array([True, False, False])
    filled = method.fill(replace(whole, available=shown))
    np.testing.assert_allclose(filled.states["video"][both], whole.states["video"][both], atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(filled.states["text"][both], axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(filled.imputed[shown[:, 0]], [[False, True, True]] * int(shown[:, 0].sum()))
    assert not filled.imputed[~shown[:, 0]].any()


def test_regress_fill_leaves_full_rows_alone(workspace: Workspace) -> None:
    method, data = build("regress_fill", workspace, training(epochs=2)), data_for("regress_fill", workspace)
    fit(method, data)
    assert isinstance(method, ImputingMethod)
    test = rows_of("regress_fill", data, "test").under("avt")
    whole = test.take(np.flatnonzero(test.available.all(axis=1)))
    assert not method.fill(whole).imputed.any()


def test_every_set_of_modalities_has_its_own_head(workspace: Workspace) -> None:
    method, data = build("per_condition", workspace, training(epochs=3)), data_for("per_condition", workspace)
    assert isinstance(method, PerCondition)
    assert not method.deployable
    history = fit(method, data)
    method.temperatures_[:] = 1.0  # as it is before calibration
    assert set(method.heads_) == {"a", "v", "t", "av", "at", "vt", "avt"}
    assert [line["epoch"] for line in history.lines] == list(range(len(history.lines)))
    test = rows_of("per_condition", data, "test")
    av = test.under("av").take(np.flatnonzero(test.under("av").available[:, :2].all(axis=1)))
    with torch.inference_mode():
        scores = method.heads_["av"](torch.from_numpy(method.fused(av)))
    np.testing.assert_allclose(method.predict_proba(av), scores.double().softmax(dim=1).numpy(), atol=1e-6)
    del method.heads_["av"]
    np.testing.assert_allclose(method.predict_proba(av), np.tile(method.prior_, (len(av), 1)))


def test_distillation_reads_the_pool(workspace: Workspace) -> None:
    """With the pool hidden the student is another one."""
    tensors = []
    for hide in (False, True):
        method, data = build("distil", workspace, training(epochs=2)), data_for("distil", workspace)
        train = training_rows("distil", data)
        assert len(train.pool_rows) > 0
        if hide:
            train.pool_rows = train.pool_rows[:0]
        method.prior_ = train.prior
        method.learn(train, rows_of("distil", data, "val"), np.random.default_rng(0), History())
        tensors.append(method.tensors())
    assert any(not np.array_equal(tensors[0][n], tensors[1][n]) for n in tensors[0])


def test_distillation_on_states(workspace: Workspace) -> None:
    method, data = build("distil", workspace, training(epochs=2), inputs="states"), data_for("distil", workspace)
    fit(method, data)
    batch = rows_of("distil", data, "test").under("vt")
    changed = replace(batch, features={m: np.zeros_like(a) for m, a in batch.features.items()})
    np.testing.assert_array_equal(method.predict_proba(changed), method.predict_proba(batch))


def test_drawn_masks_leave_something(workspace: Workspace) -> None:
    method, data = build("distil", workspace), data_for("distil", workspace)
    assert isinstance(method, NeuralMethod)
    masked_training = MaskedTraining(
        method, training_rows("distil", data), rows_of("distil", data, "val"), np.random.default_rng(0)
    )
    available = torch.eye(3, dtype=torch.bool).repeat(200, 1)
    keep = masked_training.draw_masks(available, torch.Generator().manual_seed(0))
    assert (available & keep).any(dim=1).all()
    assert not keep.all()


@pytest.mark.parametrize(
    ("kind", "options", "key"),
    [
        ("modality_dropout", {"width": 10, "heads": 4}, "width 10 must be a multiple of heads 4"),
        ("modality_dropout", {"input_dropouts": []}, "methods.mine.input_dropouts"),
        ("mmin", {"blocks": 0}, "methods.mine.blocks"),
        ("if_mmin", {"cycle_weight": 1.0}, "methods.mine.cycle_weight: unknown key"),
        ("regress_fill", {"penalties": [0.0]}, "methods.mine.penalties.0"),
        ("distil", {"inputs": "pixels"}, "methods.mine.inputs"),
    ],
)
def test_a_bad_option_is_named(kind: str, options: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        method_options("mine", {"type": kind, **options})
    assert any(key in fault for fault in caught.value.faults)
