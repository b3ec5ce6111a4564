"""Losses against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ramer.nn.losses import central_moment_discrepancy, masked_mse, soft_cross_entropy


def test_masked_mse_is_the_mean_over_slots_that_count() -> None:
    torch.manual_seed(0)
    predicted, target = torch.randn(5, 3, 4), torch.randn(5, 3, 4)
    counts = torch.rand(5, 3) < 0.5
    errors = [((predicted[i, j] - target[i, j]) ** 2).mean().item() for i in range(5) for j in range(3) if counts[i, j]]
    assert masked_mse(predicted, target, counts).item() == pytest.approx(np.mean(errors), rel=1e-5)


def test_masked_mse_of_no_slot_is_zero_and_has_a_gradient() -> None:
    predicted = torch.randn(2, 3, 4, requires_grad=True)
    value = masked_mse(predicted, torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.bool))
    value.backward()
    assert value.item() == 0.0
    assert predicted.grad is not None
    assert torch.count_nonzero(predicted.grad) == 0


def test_a_slot_that_does_not_count_cannot_spoil_the_loss() -> None:
    predicted, target = torch.ones(1, 3, 4), torch.zeros(1, 3, 4)
    target[0, 1] = 1e30
    assert masked_mse(predicted, target, torch.tensor([[True, False, True]])).item() == 1.0


def test_central_moment_discrepancy_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), rng.gamma(2.0, size=(20, 3))
    wanted = 0.0
    for order in range(1, 6):
        gaps = []
        for column in range(3):
            a, b = x[:, column], y[:, column]
            if order > 1:
                a, b = (a - a.mean()) ** order, (b - b.mean()) ** order
            gaps.append(a.mean() - b.mean())
        wanted += float(np.sqrt(np.sum(np.square(gaps))))
    found = central_moment_discrepancy(torch.from_numpy(x), torch.from_numpy(y), moments=5)
    assert found.item() == pytest.approx(wanted)


def test_equal_distributions_have_no_discrepancy_whatever_the_order_of_their_rows() -> None:
    x = torch.randn(40, 6, dtype=torch.float64)
    assert central_moment_discrepancy(x, x.flip(0)).item() == pytest.approx(0.0, abs=1e-12)


def test_an_empty_sample_has_no_discrepancy() -> None:
    assert central_moment_discrepancy(torch.randn(4, 3), torch.randn(0, 3)).item() == 0.0


def test_two_moments_ignore_skewness() -> None:
    x = torch.tensor([[-1.0], [1.0]]).repeat(50, 1)
    y = torch.tensor([[-2.0], [0.5], [0.5], [0.5], [0.5]]).repeat(20, 1)
    assert central_moment_discrepancy(x, y, moments=2).item() == pytest.approx(0.0, abs=1e-6)
    assert central_moment_discrepancy(x, y, moments=3).item() > 0.5


def test_soft_cross_entropy_with_hard_targets_is_cross_entropy() -> None:
    scores, labels = torch.randn(9, 4), torch.arange(9) % 4
    target = torch.nn.functional.one_hot(labels, 4).float()
    torch.testing.assert_close(soft_cross_entropy(scores, target), torch.nn.functional.cross_entropy(scores, labels))
