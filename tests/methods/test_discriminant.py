"""``discriminant``: Bayes' rule for Gaussians of which parts are missing, and what a pool adds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ramer.config import Training
from ramer.methods import build_method, method_options
from ramer.methods.discriminant import Discriminant, least_loss
from ramer.methods.shared.fitting import fit_replicate
from ramer.modalities import CONDITIONS, LETTERS, MODALITIES, condition_masks
from ramer.project import Project
from ramer.training.fitted import History
from ramer.training.gaussian import ClassGaussians, leading_axes
from ramer.training.labelled_rows import LabelledRows
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace

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


@pytest.mark.parametrize(("rows", "dim"), [(50, 7), (5, 7), (30, 600), (0, 4), (9, 0)])
def test_leading_axes_are_those_of_most_mean_square(rows: int, dim: int) -> None:
    x = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32) * np.linspace(3, 0.1, dim)
    axes = leading_axes(x, 4)
    assert axes.shape == (dim, min(4, rows, dim))
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-5)
    if axes.size:
        sizes = np.linalg.svd(x, compute_uv=False)[: axes.shape[1]]
        np.testing.assert_allclose(np.linalg.norm(x @ axes, axis=0), sizes, rtol=0.02)


def test_candidates_are_compared_at_their_best_temperature() -> None:
    scores, labels = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0], [0.0, 2.0]]), np.array([0, 1, 0, 0])
    assert least_loss(2 * scores, labels) == pytest.approx(least_loss(scores, labels), rel=1e-6)
    assert least_loss(scores[:0], labels[:0]) == 0.0


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
