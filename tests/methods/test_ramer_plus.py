"""``ramer_plus`` and its parts: soft regressions, weights, keys, fillings, and rows that lack much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from ramer.config import Training
from ramer.inputs import FEATURES, OWN_KEYS, STATES
from ramer.methods.late_product import LateProduct, LateProductOptions
from ramer.methods.shared.masked_network import masked_inputs, stacked
from ramer.methods.shared.own_keys import NeighbourFill, OwnKeys
from ramer.methods.shared.weighing import fit_weights, pays
from ramer.methods.taught_product import fit_soft
from ramer.modalities import CONDITIONS, MODALITIES, condition_masks
from ramer.nn.key_networks import info_nce
from ramer.nn.masked import Masked
from ramer.retrieval.keys import FeatureKeys, KeyIndex
from ramer.retrieval.structures import Database, LiveSearch, Rules
from ramer.training.contrastive import BATCH, MOST_STEPS, train_keys
from ramer.training.fitted import History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.workspace import ModelShape, Workspace
from tests.support.made_logs import made_logs

INPUTS = frozenset({FEATURES, STATES, OWN_KEYS})


def test_a_soft_regression_on_certain_labels_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(90, 5)).astype(np.float32), rng.integers(0, 3, size=90)
    x[:, 0] += labels
    found = fit_soft(x, np.eye(3)[labels], 0.1, np.zeros((6, 3)), 1000)
    model = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(x.astype(np.float64), labels)
    np.testing.assert_allclose(softmax(x @ found[:-1] + found[-1], axis=1), model.predict_proba(x), atol=2e-3)


def test_a_soft_regression_learns_from_uncertain_rows_as_from_so_many_certain_ones() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    share = rng.integers(0, 5, size=40)  # of four labels, how many are of the second class
    soft = np.stack([1 - share / 4, share / 4], axis=1)
    counted = np.repeat(np.arange(40), 4)
    labels = np.concatenate([[1] * s + [0] * (4 - s) for s in share])
    one = fit_soft(x, soft, 1.0, np.zeros((4, 2)), 1000)
    many = fit_soft(x[counted], np.eye(2)[labels], 0.25, np.zeros((4, 2)), 1000)
    np.testing.assert_allclose(x @ one[:-1] + one[-1], x @ many[:-1] + many[-1], atol=1e-3)


def test_weights_favour_the_better_member_and_few_rows_hardly_move_them() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size=3000)
    logs = np.stack([made_logs(rng, labels, 2.0), made_logs(rng, labels, 0.0)])
    weights = fit_weights(logs, labels, 0.02)
    assert weights[0] > 0.7
    assert 0 <= weights[1] < 0.2
    np.testing.assert_allclose(fit_weights(logs, labels, 1e6), [0.5, 0.5], atol=1e-4)
    assert fit_weights(logs[:, :0], labels[:0], 0.02).tolist() == [0.5, 0.5]


def test_a_member_keeps_the_least_weight_that_it_must_have() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size=3000)
    logs = np.stack([made_logs(rng, labels, 2.0), made_logs(rng, labels, -1.0)])
    assert fit_weights(logs, labels, 0.001)[1] == 0.0
    free, bound = (fit_weights(logs, labels, 0.001, np.array([0.0, least])) for least in (0.0, 0.05))
    assert bound[1] == 0.05
    assert abs(bound[0] - free[0]) < 0.2


def test_weights_are_where_no_step_lowers_the_penalised_loss() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, size=60)
    logs = np.stack([made_logs(rng, labels, 1.5), made_logs(rng, labels, 1.0), made_logs(rng, labels, -0.5)])

    def loss(w: np.ndarray) -> float:
        mixed = log_softmax(np.tensordot(w, logs, 1), axis=1)
        return float(-mixed[np.arange(60), labels].mean() + 0.02 * ((w - 1 / 3) ** 2).sum())

    found = fit_weights(logs, labels, 0.02)
    for step in rng.normal(scale=0.02, size=(200, 3)):
        assert loss(np.maximum(found + step, 0)) >= loss(found) - 1e-6


def test_info_nce_is_the_mean_of_two_plain_loops() -> None:
    rng = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 4, 3)))
    total = 0.0
    for i in range(4):
        for one, other in ((a, b), (b, a)):
            scores = [one[i] @ other[j] / 0.1 for j in range(4)]
            total += (np.log(np.sum(np.exp(scores))) - scores[i]) / 8
    assert float(info_nce(torch.from_numpy(a), torch.from_numpy(b), 0.1)) == pytest.approx(total)


def test_keys_bring_the_modalities_of_a_clip_together(workspace: Workspace) -> None:
    data = workspace.replicate(workspace.corpus.replicates[0], INPUTS)
    train = TrainingBatch(data, INPUTS)
    rows = stacked([masked_inputs(train.complete), masked_inputs(train.pool())])
    encoders = train_keys(workspace.shape().feature_dims, rows, 80, np.random.default_rng(0), "cpu")
    both = rows.available[:, 0] & rows.available[:, 2]
    with torch.inference_mode():
        a, t = (encoders.of(m, rows.values[m][both]) for m in ("audio", "text"))
        own, others = (a * t).sum(dim=1).mean(), (a @ t.T).mean()
    assert own > others + 0.2, (own, others)


def _database(rng: np.random.Generator, rows: int) -> tuple[Database, dict[str, np.ndarray], np.ndarray]:
    features = {m: rng.normal(size=(rows, d)).astype(np.float32) for m, d in zip(MODALITIES, (4, 3, 5), strict=True)}
    available = rng.random((rows, 3)) < 0.7
    available[: rows // 3] = False  # rows that are in no database
    codes = rng.integers(0, 6, size=rows)
    live = LiveSearch(features, {}, codes)
    return Database({}, available, np.full(rows, -1), live=live), features, codes


def test_candidates_are_those_of_a_plain_loop_without_the_querys_own_group() -> None:
    rng = np.random.default_rng(0)
    database, features, codes = _database(rng, 60)
    space = FeatureKeys({"audio": 4, "video": 3, "text": 5})
    index = KeyIndex.build(space, database)
    asked = np.array([[True, False, False], [False, True, True], [False, False, False], [True, True, True]])
    rows = np.array([0, 41, 5, -1])
    given = {m: v[[0, 41, 5, 7]] for m, v in features.items()}
    found = index.candidates(given, asked, rows, 8)
    queries, keys = space.embed(given, asked), space.embed(features, database.available)
    for i in range(4):
        allowed = [
            r for r in range(60) if keys[r].any() and (rows[i] < 0 or codes[r] != codes[rows[i]]) and queries[i].any()
        ]
        best = sorted(allowed, key=lambda r: (-float(queries[i] @ keys[r]), r))[:8]
        assert [r for r in found.rows[i] if r >= 0] == best


def test_training_views_are_what_prediction_fills_in(workspace: Workspace) -> None:
    data = workspace.replicate(workspace.corpus.replicates[0], INPUTS)
    train = TrainingBatch(data, INPUTS)
    pool = train.pool()
    pool = pool.take(np.flatnonzero(pool.available.any(axis=1)))
    rows = stacked([masked_inputs(train.complete), masked_inputs(pool)])
    filler = NeighbourFill(OwnKeys(FeatureKeys(workspace.shape().feature_dims), Rules(k=4, tau=0.1)))
    views = filler.views(rows, np.concatenate([train.rows, pool.rows]), train)
    for condition, mask in zip(CONDITIONS, condition_masks(), strict=True):
        batch = train.under(condition)
        some = np.flatnonzero(batch.available.any(axis=1))
        filled, own = filler.fill(batch.take(some)), masked_inputs(batch.take(some))
        seen = views.under(torch.from_numpy(some), torch.from_numpy(np.tile(mask, (len(some), 1))))
        np.testing.assert_array_equal(seen.available.numpy(), own.available.numpy() | filled.imputed)
        for m in MODALITIES:
            np.testing.assert_allclose(
                seen.values[m].numpy(), own.values[m].numpy() + filled.states[m], atol=1e-5, err_msg=condition
            )


def test_a_member_pays_when_it_saves_more_than_chance_would() -> None:
    rng = np.random.default_rng(3)
    labels = np.tile(rng.integers(0, 3, size=100), 2)
    rows = np.tile(np.arange(100), 2)
    first, other, noise = (made_logs(rng, labels, skill) for skill in (1.0, 1.0, 0.0))
    assert pays(np.stack([first, other]), labels, rows, 0.0, 1)
    assert not pays(np.stack([first, first]), labels, rows, 0.0, 1)
    assert pays(np.stack([other, first]), labels, rows, 0.0, 0)
    assert not pays(np.stack([noise, first]), labels, rows, 0.0, 0)
    assert not pays(np.stack([first, noise]), labels, rows, 0.0, 1)
    assert not pays(np.stack([first, other])[:, :1], labels[:1], rows[:1], 0.0, 1)
    # One row that is seen twice says no more than seen once.
    few = np.concatenate([np.arange(12), np.arange(12)])
    seen = np.stack([first, other])[:, :12]
    once, twice = (pays(seen[:, few[:n]], labels[few[:n]], few[:n], 0.02, 1) for n in (12, 24))
    assert once == twice


def test_a_large_pool_makes_no_more_steps_of_the_keys_training() -> None:
    rng = np.random.default_rng(0)
    n = BATCH * (MOST_STEPS // 4)
    values = {m: torch.from_numpy(rng.normal(size=(n, 2)).astype(np.float32)) for m in MODALITIES}
    rows = Masked(values, torch.ones(n, 3, dtype=torch.bool))
    dims = dict.fromkeys(MODALITIES, 2)
    four, many, three = (train_keys(dims, rows, e, np.random.default_rng(0), "cpu").state_dict() for e in (4, 30, 3))
    assert all(torch.equal(four[name], many[name]) for name in four)
    assert not all(torch.equal(four[name], three[name]) for name in four)


def test_a_class_that_no_training_row_has_leaves_the_product_at_work(workspace: Workspace) -> None:
    shape = workspace.shape()
    more = ModelShape(shape.feature_dims, shape.state_dims, (*shape.label_names, "never seen"))
    data = workspace.replicate(workspace.corpus.replicates[0], frozenset({FEATURES}))
    plain, wider = (LateProduct(LateProductOptions(type="late_product"), s, Training(), "cpu") for s in (shape, more))
    for method in (plain, wider):
        train = TrainingBatch(data, method.reads)
        train.prior = np.concatenate([train.prior, np.zeros(method.shape.classes - len(train.prior))])
        val = LabelledRows(data, data.corpus.rows_in(data.replicate, "val"), method.reads)
        method.fit(train, val, np.random.default_rng(0), History())
    batch = LabelledRows(data, data.corpus.rows_in(data.replicate, "test"), plain.reads).under("av")
    some = batch.take(np.flatnonzero(batch.available.any(axis=1)))
    known = wider.posterior(some)
    np.testing.assert_allclose(known[:, :-1], plain.posterior(some), atol=1e-6)
    assert known[:, -1].max() < 1e-6
    emptied = replace(some, features={m: np.zeros_like(v) for m, v in some.features.items()})
    assert np.isfinite(wider.posterior(emptied)).all()
