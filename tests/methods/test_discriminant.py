"""``discriminant``: Bayes' rule for Gaussians of which parts are missing, and what a pool adds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ramer.config import Training
from ramer.methods import build_method, method_options
from ramer.methods.blend import Blend
from ramer.methods.discriminant import Chosen, Discriminant, DiscriminantOptions, least_loss
from ramer.methods.shared.fitting import fit_replicate
from ramer.methods.shared.teaching import Lesson, Panel, Teacher, agreed
from ramer.modalities import CONDITIONS, LETTERS, MODALITIES, condition_masks
from ramer.project import Project
from ramer.seeding import generator
from ramer.training.batches import Batch
from ramer.training.directions import leading_directions
from ramer.training.fitted import History
from ramer.training.gaussian import ClassGaussians
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.replicate_data import ReplicateData
from ramer.training.temperature import pattern_codes
from ramer.training.workspace import ModelShape, Workspace

DIMS = (3, 2, 4)


def drawn(rng: np.random.Generator, n: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Features that share much between modalities, and labels of three classes."""
    labels = rng.integers(0, 3, size=n)
    x = rng.normal(size=(3, 9))[labels] + rng.normal(size=(n, 9)) @ rng.normal(size=(9, 9)) / 2
    return np.split(x, np.cumsum(DIMS)[:-1], axis=1), labels


def test_what_is_missing_is_integrated_out_as_bayes_rule_has_it() -> None:
    rng = np.random.default_rng(0)
    parts, labels = drawn(rng, 400)
    gaussians = ClassGaussians.of(parts, np.ones((400, 3), bool), np.eye(3)[labels]).across(0.6).shrunk(0.1)
    x, modality = np.concatenate(parts, axis=1), np.repeat(np.arange(3), DIMS)
    for mask in condition_masks():
        axes, slopes, intercepts = gaussians.discriminants(mask)
        kept = mask[modality]
        assert modality[axes].tolist() == modality[kept].tolist()
        covariance = gaussians.covariance[np.ix_(kept, kept)]
        density = [multivariate_normal(mean[kept], covariance).logpdf(x[:20, kept]) for mean in gaussians.means]
        found, expected = x[:20, kept] @ slopes + intercepts, np.stack(density, axis=1)
        np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=1e-9)


def test_means_and_covariances_are_of_the_rows_that_hold_them() -> None:
    rng = np.random.default_rng(1)
    parts = drawn(rng, 300)[0]
    held = rng.random((300, 3)) < 0.7
    for i, part in enumerate(parts):
        part[~held[:, i]] = 1e6  # never read
    soft = rng.dirichlet(np.ones(3) / 3, size=300)
    found = ClassGaussians.of(parts, held, soft)
    means = [
        np.stack([np.average(p[h], axis=0, weights=soft[h, c]) for c in range(3)])
        for p, h in zip(parts, held.T, strict=True)
    ]
    np.testing.assert_allclose(found.means, np.concatenate(means, axis=1))
    both = held[:, 0] & held[:, 2]
    block = np.zeros((DIMS[0], DIMS[2]))
    for row in np.flatnonzero(both):
        for c in range(3):
            block += soft[row, c] * np.outer(parts[0][row] - means[0][c], parts[2][row] - means[2][c]) / both.sum()
    np.testing.assert_allclose(found.covariance[:3, 5:], block)


def test_a_class_that_a_modality_has_no_row_of_is_an_average_row_there() -> None:
    parts, labels = drawn(np.random.default_rng(5), 90)
    held = np.ones((90, 3), bool)
    held[labels == 2, 1] = False
    found = ClassGaussians.of(parts, held, np.eye(3)[labels])
    np.testing.assert_allclose(found.means[2, 3:5], parts[1][labels != 2].mean(axis=0))
    np.testing.assert_allclose(found.means[2, 5:], parts[2][labels == 2].mean(axis=0))


def test_blocks_of_different_rows_are_made_a_covariance() -> None:
    parts, labels = drawn(np.random.default_rng(4), 12)
    held = np.tile([[True, True, False], [False, True, True], [True, False, True]], (4, 1))
    gaussians = ClassGaussians.of(parts, held, np.eye(3)[labels])
    assert np.linalg.eigvalsh(gaussians.covariance)[0] < -1e-3
    assert np.linalg.eigvalsh(gaussians.across(1.0).covariance)[0] > -1e-9
    np.testing.assert_array_equal(gaussians.across(0.0).covariance[:3, :3], gaussians.covariance[:3, :3])


def test_a_row_of_two_classes_counts_as_a_half_of_each() -> None:
    rng = np.random.default_rng(2)
    parts, labels = drawn(rng, 60)
    held = np.ones((60, 3), bool)
    soft = (np.eye(3)[labels] + np.eye(3)[(labels + 1) % 3]) / 2
    one = ClassGaussians.of(parts, held, soft)
    twice = ClassGaussians.of(
        [np.concatenate([p, p]) for p in parts], np.ones((120, 3), bool), np.eye(3)[np.append(labels, (labels + 1) % 3)]
    )
    np.testing.assert_allclose(one.means, twice.means)
    np.testing.assert_allclose(one.covariance, twice.covariance, atol=1e-12)


def test_shrinkage_and_independence_do_what_they_say() -> None:
    parts, labels = drawn(np.random.default_rng(3), 200)
    gaussians = ClassGaussians.of(parts, np.ones((200, 3), bool), np.eye(3)[labels])
    apart = gaussians.across(0.0).shrunk(1e-9).covariance
    assert not apart[:3, 3:].any()
    np.testing.assert_allclose(apart[:3, :3], gaussians.covariance[:3, :3], atol=1e-6)
    own = [np.diag(gaussians.covariance)[gaussians.modality == m].mean() for m in range(3)]
    np.testing.assert_allclose(gaussians.shrunk(1.0).covariance, np.diag(np.repeat(own, DIMS)), atol=1e-12)
    first = gaussians.first(2)
    assert first.modality.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(first.covariance[2:4, 2:4], gaussians.covariance[3:5, 3:5])


@pytest.mark.parametrize(("rows", "dim"), [(50, 7), (5, 7), (30, 600), (600, 700), (0, 4), (9, 0)])
def test_leading_directions_are_those_of_most_mean_square(rows: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 6)) * [32, 16, 8, 4, 2, 1] @ rng.normal(size=(6, dim)) + rng.normal(size=(rows, dim))
    sizes, directions = (found[:4] for found in leading_directions(x, 4))
    assert directions.shape == (min(4, rows, dim), dim)
    np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-5)
    np.testing.assert_allclose(sizes, np.linalg.svd(x, compute_uv=False)[:4], rtol=0.02)
    np.testing.assert_allclose(np.linalg.norm(x @ directions.T, axis=0), sizes, rtol=1e-3)


def test_candidates_are_compared_at_their_best_temperature() -> None:
    scores, labels = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0], [0.0, 2.0]]), np.array([0, 1, 0, 0])
    assert least_loss(2 * scores, labels) == pytest.approx(least_loss(scores, labels), rel=1e-6)
    assert least_loss(scores[:0], labels[:0]) == 0.0


def test_the_posterior_is_that_of_bayes_rule_along_the_chosen_axes() -> None:
    rng, dims = np.random.default_rng(6), dict(zip(MODALITIES, (6, 5, 7), strict=True))
    features = {m: rng.normal(size=(80, d)).astype(np.float32) for m, d in dims.items()}
    labels, held = rng.integers(0, 3, size=80), rng.random((80, 3)) < 0.7
    held[:40] = True
    directions = [leading_directions(features[m][held[:, i]], 3)[1][:3].T for i, m in enumerate(MODALITIES)]
    parts = [features[m] @ d for m, d in zip(MODALITIES, directions, strict=True)]
    gaussians = ClassGaussians.of(parts, held, np.eye(3)[labels])
    method = Discriminant(DiscriminantOptions(type="discriminant"), ModelShape(dims, {}, ("x", "y", "z")), Training())
    method.prior_ = np.array([0.6, 0.3, 0.1])
    method._adopt(gaussians, directions, Chosen(2, 0.3, 0.5))
    given = {m: np.where(held[:, [i]], features[m], np.nan) for i, m in enumerate(MODALITIES)}
    said = method.predict_proba(Batch(np.arange(80), held, given, {}, {}, None, None))
    model = gaussians.first(2).across(0.5).shrunk(0.3)
    x = np.concatenate([part[:, :2] for part in parts], axis=1)
    for row in range(80):
        kept = np.repeat(held[row], 2)
        if not kept.any():
            np.testing.assert_allclose(said[row], method.prior_)
            continue
        covariance = model.covariance[np.ix_(kept, kept)]
        likely = [multivariate_normal(mean[kept], covariance).pdf(x[row, kept]) for mean in model.means]
        np.testing.assert_allclose(said[row], method.prior_ * likely / (method.prior_ @ likely), atol=1e-6)


def fitted(workspace: Workspace, **options: object) -> tuple[Discriminant, ReplicateData]:
    """On the rows of the first replicate."""
    method = build_method(
        method_options("mine", {"type": "discriminant", **options}), workspace.shape(), Training(epochs=5)
    )
    data = workspace.replicate(workspace.corpus.replicates[0], method.reads)
    fit_replicate(method, data, History())
    assert isinstance(method, Discriminant)
    return method, data


def test_the_pool_takes_part_by_what_the_teacher_and_the_gaussians_say(workspace_root: Path) -> None:
    workspace = Workspace(Project(workspace_root))  # one of its own, whose pool is taken away
    once, more = (fitted(workspace, rounds=rounds)[0] for rounds in (1, 3))
    assert not np.allclose(once.intercepts_, more.intercepts_)
    codes = workspace.corpus.split_codes
    workspace.corpus.split_codes = np.where(codes == 3, -1, codes)
    alone, again = (fitted(workspace, rounds=rounds)[0] for rounds in (1, 3))
    np.testing.assert_array_equal(alone.intercepts_, again.intercepts_)
    assert not np.allclose(alone.intercepts_, once.intercepts_)


def test_a_restored_one_says_the_same_under_every_condition(workspace: Workspace) -> None:
    method, data = fitted(workspace)
    assert set(method.slopes_) == {f"{c}_{LETTERS[m]}" for c, held in CONDITIONS.items() for m in held}
    again = build_method(method.options, method.shape, method.training).take_state(method.state())
    test = LabelledRows(data, data.corpus.rows_in(data.replicate, "test"), method.reads)
    for condition in CONDITIONS:
        batch = test.under(condition)
        np.testing.assert_array_equal(again.predict_proba(batch), method.predict_proba(batch))
        # A row in which nature left less is judged by what is left.
        gone = replace(batch, available=np.zeros_like(batch.available))
        np.testing.assert_allclose(again.predict_proba(gone), np.tile(method.prior_, (len(gone), 1)))
    assert all(method.slopes_[f"avt_{LETTERS[m]}"].shape[0] == workspace.corpus.dims[m] for m in MODALITIES)


@pytest.mark.parametrize("options", [{"shrinkages": (0.02, 0.999)}, {"axes": (1, 6)}, {"across": (0.0, 1.0)}])
def test_of_two_candidates_the_one_with_less_loss_on_validation_rows_is_taken(
    workspace: Workspace, options: dict[str, tuple[float, ...]]
) -> None:
    (name, values), rest = next(iter(options.items())), {"shrinkages": (0.2,), "axes": (4,), "across": (0.5,)}
    both, data = fitted(workspace, rounds=1, **rest | options)
    val = LabelledRows(data, data.corpus.rows_in(data.replicate, "val"), both.reads)
    losses, slopes = [], []
    for value in values:
        one, _ = fitted(workspace, rounds=1, **rest | {name: (value,)})
        by_pattern: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        for condition in CONDITIONS:
            batch = val.under(condition)
            codes = pattern_codes(batch.available)
            for code in np.unique(codes[codes > 0]):
                some = np.flatnonzero(codes == code)
                by_pattern.setdefault(code, []).append((one.posterior(batch.take(some)), val.labels[some]))
        parts = [[np.concatenate(p) for p in zip(*seen, strict=True)] for seen in by_pattern.values()]
        losses.append(sum(least_loss(np.log(proba), labels) for proba, labels in parts))
        slopes.append(one.slopes_["avt_a"])
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)
    np.testing.assert_allclose(both.slopes_["avt_a"], slopes[int(np.argmin(losses))])


class Says:
    """A teacher who says of every row what its number says."""

    def predict_proba(self, batch: Batch) -> np.ndarray:
        classes = len(self.names)
        return np.full((len(batch), classes), 0.1 / (classes - 1)) * (1 - self._own(batch)) + 0.9 * self._own(batch)

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def _own(self, batch: Batch) -> np.ndarray:
        return np.eye(len(self.names))[batch.rows % len(self.names)]


def test_the_second_round_learns_what_teacher_and_first_round_say_together(workspace: Workspace) -> None:
    options = {"type": "discriminant", "axes": (5,), "shrinkages": (0.3,), "across": (0.6,), "most_pool_rows": 40}
    made, teacher = [], Says(workspace.corpus.label_names)
    for rounds in (1, 2):
        method = build_method(method_options("mine", options | {"rounds": rounds}), workspace.shape(), Training())
        assert isinstance(method, Discriminant)
        method.teacher = teacher
        data = workspace.replicate(workspace.corpus.replicates[0], method.reads)
        fit_replicate(method, data, History())
        made.append(method)
    first, second = made
    train = TrainingBatch(data, first.reads)
    pool = train.drawn_pool(generator(data.replicate.seed, "fit", data.replicate.fold), 40)
    assert 0 < len(pool) <= 40
    soft = agreed([teacher.predict_proba(pool), first.predict_proba(pool)])  # calibrated by fit
    held = np.concatenate([train.complete.available, pool.available])
    directions, parts = first._reduced([train.complete, pool], held)
    classes = np.concatenate([np.eye(len(teacher.names))[train.labels], soft])
    second._adopt(ClassGaussians.of(parts, held, classes), directions, Chosen(5, 0.3, 0.6))
    again = build_method(second.options, second.shape, second.training)
    assert isinstance(again, Discriminant)
    again.teacher = teacher
    fit_replicate(again, data, History())
    np.testing.assert_allclose(again.intercepts_, second.intercepts_, rtol=1e-5, atol=1e-6)
    assert not np.allclose(again.intercepts_, first.intercepts_, rtol=1e-3)


def test_a_panel_is_the_calibrated_geometric_mean(workspace: Workspace) -> None:
    method, data = fitted(workspace)
    val = LabelledRows(data, data.corpus.rows_in(data.replicate, "val"), method.reads)
    teacher, batch = Says(workspace.corpus.label_names), val.under("av")
    both = agreed([method.predict_proba(batch), teacher.predict_proba(batch)])
    expected = np.sqrt(method.predict_proba(batch) * teacher.predict_proba(batch))
    np.testing.assert_allclose(both, expected / expected.sum(axis=1, keepdims=True))
    said, codes = Panel([method, teacher], val).predict_proba(batch), pattern_codes(batch.available)
    for code in np.unique(codes):
        power = np.log(said[codes == code]) - np.log(said[codes == code]).mean(axis=1, keepdims=True)
        plain = np.log(both[codes == code]) - np.log(both[codes == code]).mean(axis=1, keepdims=True)
        slope = (power * plain).sum() / (plain**2).sum()
        np.testing.assert_allclose(power, slope * plain, atol=1e-8)


def test_the_blend_teaches_the_gaussians_and_both_the_other_members(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[type, int]] = []
    give = Lesson.give

    def told(teacher: Teacher, train: TrainingBatch, rng: np.random.Generator, most: int) -> Lesson:
        given.append((type(teacher), most))
        return give(teacher, train, rng, most)

    monkeypatch.setattr(Lesson, "give", staticmethod(told))
    entry = method_options("mine", {"type": "ramer_plus", "k": 2, "most_pool_rows": 50})
    method = build_method(entry, workspace.shape(), Training(epochs=2))
    fit_replicate(method, workspace.replicate(workspace.corpus.replicates[0], method.reads), History())
    assert given == [(Blend, 50), (Panel, 50), (Panel, 50)]
