"""The linear layer that keeps its gradient's memory, against ``nn.Linear``."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ramer.nn import linear
from ramer.nn.linear import ReusingLinear, reuse_gradients


@pytest.fixture(autouse=True)
def _every_size_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "WORTH_REUSING", 1)


def pair(bias: bool = True) -> tuple[ReusingLinear, nn.Linear]:
    ours, stock = ReusingLinear(5, 3, bias=bias), nn.Linear(5, 3, bias=bias)
    stock.load_state_dict(ours.state_dict())
    reuse_gradients(ours)
    return ours, stock


def gradients(layer: nn.Linear) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in layer.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_are_those_of_linear(bias: bool) -> None:
    ours, stock = pair(bias)
    for _ in range(3):
        x = torch.randn(4, 5, requires_grad=True)
        y = x.detach().clone().requires_grad_()
        ours.zero_grad()
        stock.zero_grad()
        ours(x).square().sum().backward()
        stock(y).square().sum().backward()
        torch.testing.assert_close(gradients(ours), gradients(stock))
        torch.testing.assert_close(x.grad, y.grad)


def test_gradients_that_were_not_cleared_accumulate() -> None:
    ours, stock = pair()
    for x in torch.randn(3, 4, 5):
        ours(x).square().sum().backward()
        stock(x).square().sum().backward()
    torch.testing.assert_close(gradients(ours), gradients(stock))


def test_the_memory_stays_the_same_between_steps() -> None:
    ours, _ = pair()
    addresses = set()
    for _ in range(3):
        ours.zero_grad()
        ours(torch.randn(4, 5)).sum().backward()
        assert ours.weight.grad is not None
        addresses.add(ours.weight.grad.data_ptr())
    assert ours.gradient_memory is not None
    assert addresses == {ours.gradient_memory.data_ptr()}


def test_nothing_changes_unless_asked_for() -> None:
    layer = ReusingLinear(5, 3)
    first, second = (torch.autograd.grad(layer(x).sum(), layer.weight)[0] for x in torch.randn(2, 4, 5))
    assert first.data_ptr() != second.data_ptr()
    assert set(layer.state_dict()) == {"weight", "bias"}
