"""How far ``ramer_plus`` trusts weights that were fitted on validation rows, and what a step of its student draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ramer.config import Training
from ramer.methods import build_method, method_options, ramer_plus
from ramer.methods.ramer_plus import LEAST_SHARE, LEAST_WEIGHT, RamerPlus, least_weights
from ramer.methods.retrieval_distil import MOST_DRAWN, RetrievalDistil
from ramer.methods.shared.fitting import fit_replicate
from ramer.methods.shared.weighing import fit_weights, reliability
from ramer.modalities import CONDITIONS
from ramer.training.fitted import History
from ramer.training.labelled_rows import LabelledRows
from ramer.training.softmax import softmax
from ramer.training.workspace import Workspace
from tests.support.made_logs import made_logs


def test_a_saving_counts_as_far_as_it_exceeds_its_standard_error() -> None:
    rng = np.random.default_rng(4)
    labels, rows = rng.integers(0, 3, size=400), np.arange(400)
    logs = np.stack([made_logs(rng, labels, skill) for skill in (1.0, 1.0, 0.0)])
    plain = np.array([1.0, 0.0, 0.0])

    def share(weights: list[float], n: int = 400) -> float:
        return reliability(plain, np.array(weights), logs[:, :n], labels[:n], rows[:n])

    lost = [-np.log(np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)) for part in (logs[0], logs[:2].sum(axis=0))]
    saved = (lost[0] - lost[1])[np.arange(400), labels]
    noise = saved.std(ddof=1) / 20 / saved.mean()
    assert share([1.0, 1.0, 0.0]) == pytest.approx(1 - noise**2)
    assert 0.5 < share([1.0, 1.0, 0.0]) < 1.0
    assert share([1.0, 0.0, 0.0]) == 0.0  # nothing is saved
    assert share([1.0, 0.0, 3.0]) == 0.0  # noise costs
    assert share([1.0, 1.0, 0.0], n=1) == 0.0  # one row tells nothing
    # Rows seen twice say no more than seen once.
    twice = reliability(
        plain, np.array([1.0, 1.0, 0.0]), np.tile(logs, (1, 2, 1)), np.tile(labels, 2), np.tile(rows, 2)
    )
    assert twice == pytest.approx(share([1.0, 1.0, 0.0]))


def fitted_where(
    trusted: float | None, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> RamerPlus:
    """A fitted method whose weights are trusted as said, or as it finds."""
    with monkeypatch.context() as patched:
        if trusted is not None:
            patched.setattr(ramer_plus, "reliability", lambda *given: trusted)
        entry = method_options("mine", {"type": "ramer_plus", "k": 2, **options})
        method = build_method(entry, workspace.shape(), Training(epochs=3))
        fit_replicate(method, workspace.replicate(workspace.corpus.replicates[0], method.reads), History())
    assert isinstance(method, RamerPlus)
    return method


def test_the_weights_go_as_far_as_they_are_trusted(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    least, half, whole, own = (fitted_where(s, workspace, monkeypatch) for s in (0.0, 0.5, 1.0, None))
    fitted = whole.weights_
    plain = (least.weights_ - LEAST_SHARE * fitted) / (1 - LEAST_SHARE)
    np.testing.assert_allclose(plain[2:], 0.0, atol=1e-9)
    assert plain.sum() == pytest.approx(1.0)  # those of blend, in tenths
    np.testing.assert_allclose(10 * plain, np.round(10 * plain), atol=1e-6)
    np.testing.assert_allclose(half.weights_, (plain + fitted) / 2)
    data = workspace.replicate(workspace.corpus.replicates[0], own.reads)
    val = LabelledRows(data, data.corpus.rows_in(data.replicate, "val"), own.reads)
    batches = [val.under(c) for c in CONDITIONS]
    rows = [np.flatnonzero(batch.available.any(axis=1)) for batch in batches]
    logs = np.concatenate([own.member_logs(b)[:, kept] for b, kept in zip(batches, rows, strict=True)], axis=1)
    held = np.concatenate(rows)
    least_of_all = least_weights(own.members_, True)
    assert least_of_all.tolist() == [0.0, 0.0, LEAST_WEIGHT, 0.0, 0.0]
    fits = fit_weights(logs, val.labels[held], own.options.pull, least_of_all)
    np.testing.assert_allclose(fits, fitted, atol=1e-6)
    share = max(LEAST_SHARE, reliability(plain, fitted, logs, val.labels[held], held))
    np.testing.assert_allclose(own.weights_, share * fitted + (1 - share) * plain, atol=1e-6)


def test_a_late_pool_takes_the_weights_as_fitted(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    distrusted, trusted = (fitted_where(s, workspace, monkeypatch, pool="late") for s in (0.0, 1.0))
    np.testing.assert_array_equal(distrusted.weights_, trusted.weights_)
    assert list(distrusted.members_) == ["late_product", "distil", "retrieval_distil", "discriminant"]


def test_a_step_of_the_student_draws_a_bounded_number_of_soft_labels(workspace: Workspace) -> None:
    student = build_method(method_options("mine", {"type": "retrieval_distil"}), workspace.shape(), Training())
    assert isinstance(student, RetrievalDistil)
    few, many = (student._drawn(labelled, 10_000, torch.Generator()) for labelled in (10, 1000))
    assert (len(few), len(many)) == (20, MOST_DRAWN)


def test_a_checkpoint_from_before_the_fifth_member_keeps_its_weights(workspace: Workspace) -> None:
    method = fitted_where(None, workspace, pytest.MonkeyPatch())
    assert list(method.members_) == ["late_product", "distil", "retrieval_distil", "taught_product", "discriminant"]
    before = {name: a for name, a in method.state().items() if not name.startswith("discriminant.")}
    before["weights_"] = np.array([0.1, 0.2, 0.3, 0.4])
    old = build_method(method.options, method.shape, method.training).take_state(before)
    assert isinstance(old, RamerPlus)
    data = workspace.replicate(workspace.corpus.replicates[0], method.reads)
    batch = LabelledRows(data, data.corpus.rows_in(data.replicate, "val"), method.reads).under("at")
    logs = dict(zip(method.members_, method.member_logs(batch), strict=True))
    named = {"late_product": 0.1, "distil": 0.2, "retrieval_distil": 0.3, "taught_product": 0.4}
    mixed = sum((weight * logs[name] for name, weight in named.items()), np.zeros_like(logs["distil"]))
    np.testing.assert_allclose(old.posterior(batch), softmax(mixed), atol=1e-9)
