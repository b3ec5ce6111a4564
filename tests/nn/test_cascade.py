"""The cascade against a plain loop over its own layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ramer.nn.cascade import Cascaded, ResidualCascade

WIDTH, LAYERS, BLOCKS = 6, (5, 4, 2), 3


@pytest.fixture
def cascade() -> ResidualCascade:
    torch.manual_seed(0)
    return ResidualCascade(WIDTH, LAYERS, BLOCKS)


def by_hand(cascade: ResidualCascade, x: Tensor, guide: Tensor | None) -> Cascaded:
    """MMIN's running sum, IF-MMIN's guided chain, written out."""
    latents, total, output = [], x, x
    for encoder, decoder in zip(cascade.encoders, cascade.decoders, strict=True):
        latent = encoder(total if guide is None else output + guide)
        output = decoder(latent)
        total = total + output
        latents.append(latent)
    return Cascaded(cascade.transition(total if guide is None else output), torch.cat(latents, dim=1))


@pytest.mark.parametrize("guided", [False, True])
def test_blocks_see_what_the_papers_say(cascade: ResidualCascade, guided: bool) -> None:
    x = torch.randn(7, WIDTH)
    guide = torch.randn(7, WIDTH) if guided else None
    found, wanted = cascade(x, guide), by_hand(cascade, x, guide)
    torch.testing.assert_close(found.output, wanted.output)
    torch.testing.assert_close(found.latents, wanted.latents)


def test_the_latents_are_all_bottlenecks(cascade: ResidualCascade) -> None:
    found = cascade(torch.randn(4, WIDTH))
    assert found.latents.shape == (4, BLOCKS * LAYERS[-1])
    assert found.output.shape == (4, WIDTH)


def test_a_bottleneck_may_be_negative(cascade: ResidualCascade) -> None:
    """No activation follows the last layer of an encoder or a decoder."""
    assert (cascade(torch.randn(200, WIDTH)).latents < -0.05).any()


def test_the_published_sizes() -> None:
    cascade = ResidualCascade(384, (256, 128, 64), 5)
    block = sum(a * b + b for a, b in [(384, 256), (256, 128), (128, 64), (64, 128), (128, 256), (256, 384)])
    transition = 2 * (384 * 384 + 384)
    assert sum(p.numel() for p in cascade.parameters()) == 5 * block + transition
