"""Masked inputs and the two plain networks over them."""

from __future__ import annotations

import pytest
import torch

from ramer.nn.masked import Masked, MaskedClassifier
from ramer.nn.tokens import TokenTransformer

DIMS = {"audio": 2, "video": 3, "text": 1}


@pytest.fixture
def rows() -> Masked:
    """Row 0 holds everything, row 1 lacks video."""
    values = {m: torch.ones(2, d) for m, d in DIMS.items()}
    values["video"][1] = 0
    return Masked(values, torch.tensor([[True, True, True], [True, False, True]]))


def test_under_zeroes_what_the_mask_hides(rows: Masked) -> None:
    keep = torch.tensor([[True, False, False], [False, True, True]])
    seen = rows.under(keep)
    assert seen.available.tolist() == [[True, False, False], [False, False, True]]
    assert seen.concatenated().tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]


def test_the_complement_holds_the_rest_of_what_the_row_holds(rows: Masked) -> None:
    keep = torch.tensor([[True, False, False], [False, False, True]])
    seen = rows.complement(keep)
    assert seen.available.tolist() == [[False, True, True], [True, False, False]]
    assert seen.concatenated().tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]]


def test_mask_and_complement_share_nothing_and_together_are_the_row(rows: Masked) -> None:
    keep = torch.rand(2, 3) < 0.5
    seen, rest = rows.under(keep), rows.complement(keep)
    assert not (seen.available & rest.available).any()
    torch.testing.assert_close(seen.concatenated() + rest.concatenated(), rows.concatenated())


def test_the_masked_classifier_reads_the_bits(rows: Masked) -> None:
    torch.manual_seed(0)
    network = MaskedClassifier(DIMS, (8,), 3, dropout=0.0, input_dropout=0.0).eval()
    zeros = {m: torch.zeros(2, d) for m, d in DIMS.items()}
    scores = network(Masked(zeros, rows.available))
    assert not torch.equal(scores[0], scores[1])


def test_input_dropout_spares_the_bits(rows: Masked) -> None:
    torch.manual_seed(0)
    network = MaskedClassifier(DIMS, (), 3, dropout=0.0, input_dropout=0.99).train()
    with torch.no_grad():
        weight = network.classifier.get_parameter("layers.0.weight")
        weight.zero_()
        weight[:, -3:] = 1.0
        network.classifier.get_parameter("layers.0.bias").zero_()
    assert network(rows)[:, 0].tolist() == [3.0, 2.0]


@pytest.fixture
def transformer() -> TokenTransformer:
    torch.manual_seed(0)
    return TokenTransformer(
        {"audio": 2, "video": 0, "text": 1}, 3, width=8, heads=2, layers=2, dropout=0.1, input_dropout=0.0
    ).eval()


def test_a_missing_token_stands_for_whatever_was_masked(transformer: TokenTransformer) -> None:
    available = torch.tensor([[True, False, False]])
    one = Masked({"audio": torch.ones(1, 2), "video": torch.zeros(1, 0), "text": torch.zeros(1, 1)}, available)
    other = Masked({**one.values, "text": torch.full((1, 1), 9.0)}, available)
    with torch.no_grad():
        torch.testing.assert_close(transformer(one), transformer(other), rtol=0, atol=0)


def test_missing_is_not_the_same_as_zero(transformer: TokenTransformer) -> None:
    values = {"audio": torch.ones(1, 2), "video": torch.zeros(1, 0), "text": torch.zeros(1, 1)}
    with torch.no_grad():
        missing = transformer(Masked(values, torch.tensor([[True, False, False]])))
        held = transformer(Masked(values, torch.tensor([[True, False, True]])))
    assert not torch.allclose(missing, held, atol=1e-4)


def test_missing_tokens_and_positions_train(transformer: TokenTransformer) -> None:
    values = {"audio": torch.ones(1, 2), "video": torch.zeros(1, 0), "text": torch.zeros(1, 1)}
    transformer(Masked(values, torch.tensor([[True, False, False]]))).sum().backward()
    for parameter in (transformer.cls, transformer.missing, transformer.position):
        assert parameter.grad is not None
    grad = transformer.missing.grad
    assert grad is not None
    assert grad[0].abs().sum() == 0
    assert (grad[1:].abs().sum(dim=1) > 0).all()
