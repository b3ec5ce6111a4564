"""Attention over neighbours against a plain loop, and what it starts from."""

from __future__ import annotations

import math

import pytest
import torch

from ramer.modalities import MODALITIES
from ramer.nn.attention import AttendingClassifier, NeighbourAttention, Neighbourhood, assemble

DIMS = {"audio": 4, "video": 3, "text": 5}


def make(n: int = 6, k: int = 4, dims: dict[str, int] | None = None) -> Neighbourhood:
    widths = dims or DIMS
    generator = torch.Generator().manual_seed(0)
    available = torch.rand(n, 3, generator=generator) > 0.5
    own = {m: torch.randn(n, widths[m], generator=generator) * available[:, i, None] for i, m in enumerate(MODALITIES)}
    values = {m: torch.randn(n, k, widths[m], generator=generator) for m in MODALITIES}
    scores = torch.rand(n, 3, k, generator=generator)
    scores[:, :, 2:] = torch.where(available[:, :, None], torch.nan, scores[:, :, 2:])
    scores[0], scores[1, 1] = torch.nan, torch.nan
    return Neighbourhood(own, available, values, scores)


@torch.no_grad()
def test_weights_equal_a_plain_loop() -> None:
    torch.manual_seed(0)
    attention = NeighbourAttention(7, 5, 8, tau=0.2)
    torch.nn.init.normal_(attention.query.weight)
    query, values = torch.randn(3, 7), torch.randn(3, 4, 5)
    scores = torch.tensor([[0.5, 0.2, -0.1, 0.3], [0.9, math.nan, 0.1, math.nan], [math.nan] * 4])
    weights = attention(query, values, scores)
    for n in range(3):
        terms = [0.0] * 4
        for j in range(4):
            if not math.isnan(float(scores[n, j])):
                product = attention.query(query[n]) @ attention.key(values[n, j]) / math.sqrt(8)
                terms[j] = math.exp(float(product) + float(scores[n, j]) / 0.2)
        whole = sum(terms) or 1.0
        torch.testing.assert_close(weights[n], torch.tensor([t / whole for t in terms]), atol=1e-5, rtol=1e-4)


def test_it_starts_as_the_fixed_weights() -> None:
    attention = NeighbourAttention(7, 5, 8, tau=0.1)
    scores = torch.rand(5, 4)
    weights = attention(torch.randn(5, 7), torch.randn(5, 4, 5), scores)
    torch.testing.assert_close(weights, (scores / 0.1).softmax(dim=1))


def test_all_parts_learn_and_nothing_found_gives_no_nan() -> None:
    torch.manual_seed(1)
    head = AttendingClassifier(DIMS, (8,), 3, 0.0, size=4, tau=0.1)
    near = make()
    for _ in range(2):  # keys learn once queries are not zero any more
        head.zero_grad()
        head(near).square().sum().backward()
        with torch.no_grad():
            for parameter in head.parameters():
                assert parameter.grad is not None
                assert parameter.grad.isfinite().all()
                parameter.sub_(0.1 * parameter.grad)
    assert all((p.grad != 0).any() for p in head.attention.parameters() if p.grad is not None)


def test_neighbours_of_available_modalities_change_nothing() -> None:
    head = AttendingClassifier(DIMS, (8,), 3, 0.0, size=4, tau=0.1).eval()
    near = make()
    before = head(near)
    held = near.available
    values = {m: torch.where(held[:, i, None, None], 99.0, near.values[m]) for i, m in enumerate(MODALITIES)}
    torch.testing.assert_close(head(near._replace(values=values)), before)


@pytest.mark.filterwarnings("error")
def test_a_corpus_without_text() -> None:
    dims = {**DIMS, "text": 0}
    head = AttendingClassifier(dims, (8,), 3, 0.0, size=4, tau=0.1)
    near = make(dims=dims)
    assert head(near._replace(available=near.available & torch.tensor([True, True, False]))).isfinite().all()


def test_the_input_is_that_of_every_imputing_method() -> None:
    near = make()
    stand_ins = {m: torch.full_like(near.own[m], 7.0) for m in MODALITIES}
    imputed = torch.ones_like(near.available)
    inputs = assemble(near.own, near.available, stand_ins, imputed)
    assert inputs.shape == (6, 12 + 6)
    for n in range(6):
        expected: list[float] = []
        for i, m in enumerate(MODALITIES):
            expected += near.own[m][n].tolist() if near.available[n, i] else [7.0] * DIMS[m]
        expected += near.available[n].float().tolist() + (~near.available[n]).float().tolist()
        torch.testing.assert_close(inputs[n], torch.tensor(expected))
