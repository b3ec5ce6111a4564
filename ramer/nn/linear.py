"""A linear layer that can keep the memory of its weight's gradient from one training step to the next."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

WORTH_REUSING = 2**20  # elements; smaller gradients come from memory that the allocator keeps anyway


class ReusingLinear(nn.Linear):
    """``nn.Linear``; after ``reuse_gradients`` its weight's gradient is written to the same memory at every step.

    On the CPU a fresh 100 MB costs more in page faults than the gradient in arithmetic.
    """

    gradient_memory: Tensor | None = None

    def forward(self, x: Float[Tensor, "n in"]) -> Float[Tensor, "n out"]:
        if self.gradient_memory is None or not torch.is_grad_enabled():
            return super().forward(x)
        output: Tensor = _ReusingFunction.apply(x, self.weight, self.bias, self.gradient_memory)
        return output


def reuse_gradients(module: nn.Module) -> None:
    """Let the wide ``ReusingLinear`` layers of a module on the CPU keep their gradients' memory.

    For a training loop: each layer runs once per backward pass, and no gradient outlives the next one.
    """
    for layer in module.modules():
        wide = isinstance(layer, ReusingLinear) and layer.weight.numel() >= WORTH_REUSING
        if wide and layer.weight.device.type == "cpu":
            layer.gradient_memory = torch.empty_like(layer.weight, requires_grad=False)


class _ReusingFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, memory: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.memory = memory
        ctx.has_bias = bias is not None
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        for_x = gradient @ weight if ctx.needs_input_grad[0] else None
        # A gradient that was not cleared lives in the memory: then, and only then, add a fresh one to it.
        out = ctx.memory.detach() if weight.grad is None else None
        for_weight = torch.mm(gradient.t(), x, out=out)
        return for_x, for_weight, gradient.sum(0) if ctx.has_bias else None, None
