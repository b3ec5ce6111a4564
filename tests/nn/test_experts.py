"""Experts against attention over a sequence of one, and the mixing written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ramer.modalities import MODALITIES
from ramer.nn.experts import Expert, ModalityExperts
from ramer.nn.masked import Masked

DIMS = {"audio": 4, "video": 0, "text": 3}


@pytest.fixture
def network() -> ModalityExperts:
    torch.manual_seed(0)
    return ModalityExperts(DIMS, 3, width=6, depth=2, dropout=0.5).eval()


@pytest.fixture
def rows() -> Masked:
    torch.manual_seed(1)
    available = torch.tensor([[True, False, True], [False, False, True], [True, False, False]])
    values = {m: torch.randn(3, d) for m, d in DIMS.items()}
    return Masked({m: v * available[:, i, None] for i, (m, v) in enumerate(values.items())}, available)


def test_a_block_is_attention_over_a_sequence_of_one() -> None:
    torch.manual_seed(0)
    expert = Expert(4, 1, 0.0).eval()
    attention = nn.MultiheadAttention(4, 2, batch_first=True).eval()
    with torch.no_grad():
        attention.in_proj_weight[8:].copy_(expert.values[0].get_parameter("weight"))
        attention.in_proj_bias[8:].copy_(expert.values[0].get_parameter("bias"))
        attention.out_proj.weight.copy_(torch.eye(4))
        attention.out_proj.bias.zero_()
        x = torch.randn(5, 1, 4)
        attended, _ = attention(x, x, x)
        wanted = x + attended + expert.mlps[0](attended)
        torch.testing.assert_close(expert(x[:, 0]), wanted[:, 0])


def test_mixing_equals_a_loop_over_rows(network: ModalityExperts, rows: Masked) -> None:
    mixed = network(rows)
    for n in range(3):
        parts = []
        for i, m in enumerate(MODALITIES):
            part = torch.zeros(1, 6)
            if rows.available[n, i]:
                x = network.projections[m](rows.values[m][n : n + 1])
                weights = network.routers[i](x).softmax(dim=1)
                part = sum(weights[:, e, None] * expert(x) for e, expert in enumerate(network.experts))
                torch.testing.assert_close(mixed.weights[n, i], weights[0])
            parts.append(part)
        joint = torch.cat(parts, dim=1)
        wanted = network.joint_head(joint + network.joint(joint))
        torch.testing.assert_close(mixed.scores[n : n + 1], wanted)


def test_weights_sum_to_one_where_the_modality_is_there(network: ModalityExperts, rows: Masked) -> None:
    torch.testing.assert_close(network(rows).weights.sum(dim=2), rows.available.float())


def test_the_first_stage_trains_each_expert_on_its_own_modality(network: ModalityExperts, rows: Masked) -> None:
    network.unimodal(rows)[:, 2].sum().backward()
    touched = [any(p.grad is not None and p.grad.any() for p in expert.parameters()) for expert in network.experts]
    assert touched == [False, False, True]
