"""Our AdamW is torch's, to the bit, and does not load torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import torch

from ramer.training.adamw import AdamW


def walk(optimizer: object, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    for step in range(20):
        optimizer.zero_grad()  # type: ignore[attr-defined]
        used = parameters if step % 3 else parameters[:1]
        sum((p * (i + step)).sin().sum() for i, p in enumerate(used)).backward()  # type: ignore[union-attr]
        optimizer.step()  # type: ignore[attr-defined]
    return [p.detach() for p in parameters]


def test_steps_equal_those_of_torch() -> None:
    torch.manual_seed(0)
    start = [torch.randn(5, 7), torch.randn(7), torch.randn(3, 2, 2)]
    ours, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))
    reference = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1, fused=True)
    for own, other in zip(walk(AdamW(ours, 0.01, weight_decay=0.1), ours), walk(reference, theirs), strict=True):
        assert torch.equal(own, other)


def test_frozen_parameters_stay() -> None:
    frozen, free = torch.ones(3), torch.ones(3, requires_grad=True)
    optimizer = AdamW([frozen, free], 0.1, weight_decay=0.0)
    (frozen * free).sum().backward()
    optimizer.step()
    assert torch.equal(frozen, torch.ones(3))
    assert not torch.equal(free, torch.ones(3))


def test_a_step_does_not_load_the_compiler() -> None:
    program = (
        "import sys, torch; from ramer.training.adamw import AdamW; p = torch.ones(3, requires_grad=True);"
        "p.sum().backward(); AdamW([p], 0.1, weight_decay=0.0).step(); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
