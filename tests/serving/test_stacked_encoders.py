"""The stack of encoders against the encoders themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ramer.data.prepared import Scaler
from ramer.errors import ModelError
from ramer.nn.encoder import UnimodalEncoder
from ramer.nn.residual import ResidualEncoder
from ramer.serving.stacked_encoders import StackedEncoders
from ramer.training.encoded_blocks import encode

Member = tuple[UnimodalEncoder, Scaler]


def members(
    model_dim: int | None = 16, layers: int = 2, heads: int = 4, classifier: tuple[int, ...] = (7,)
) -> list[Member]:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    made = []
    for _ in range(3):
        encoder = UnimodalEncoder(
            12,
            5,
            hidden_dim=9,
            model_dim=model_dim,
            layers=layers,
            heads=heads,
            ff_dim=11,
            dropout=0.3,
            classifier_dims=classifier,
            input_dropout=0.2,
        )
        for parameter in encoder.parameters():  # zeros and ones of a fresh encoder would hide mistakes
            torch.nn.init.normal_(parameter, std=0.4)
        scaler = Scaler(rng.normal(size=12).astype(np.float32), rng.uniform(0.5, 2, size=12).astype(np.float32))
        made.append((encoder.eval().requires_grad_(False), scaler))
    return made


@pytest.mark.parametrize("rows", [0, 1, 5, 1027])
@pytest.mark.parametrize(
    "options", [{}, {"model_dim": None, "heads": 3}, {"layers": 1}, {"layers": 3, "classifier": ()}]
)
def test_the_stack_encodes_as_each_encoder_does(options: dict, rows: int) -> None:
    encoders = members(**options)
    raw = np.random.default_rng(1).normal(0, 30, size=(rows, 12)).astype(np.float32)
    got = StackedEncoders(encoders).encode(raw)
    for position, (encoder, scaler) in enumerate(encoders):
        states, _ = encode(encoder, scaler, raw)
        np.testing.assert_allclose(got[position], states, rtol=1e-5, atol=2e-5)


def test_the_stack_says_what_residual_encoders_say() -> None:
    torch.manual_seed(0)
    scaler = Scaler(np.ones(12, dtype=np.float32), np.full(12, 2, dtype=np.float32))
    encoders: list[Member] = []
    for _ in range(2):
        encoder = ResidualEncoder(
            12, 5, hidden_dim=20, model_dim=16, layers=2, heads=4, ff_dim=11, dropout=0.3, input_dropout=0.2
        )
        for tensor in encoder.state_dict().values():
            tensor.normal_(std=0.4)
        encoders.append((encoder.eval().requires_grad_(False), scaler))
    raw = np.random.default_rng(1).normal(0, 3, size=(5, 12)).astype(np.float32)
    got = StackedEncoders(encoders).encode(raw)
    for position, (member, _) in enumerate(encoders):
        states, _ = encode(member, scaler, raw)
        np.testing.assert_allclose(got[position], states, rtol=1e-5, atol=2e-5)
    with pytest.raises(ModelError, match="expected one architecture"):
        StackedEncoders([encoders[0], members()[0]])


def test_encoders_of_several_architectures_are_refused() -> None:
    with pytest.raises(ModelError, match="expected one architecture"):
        StackedEncoders([members()[0], members(layers=3)[1]])
