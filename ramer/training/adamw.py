"""AdamW by torch's fused kernel, without the optimiser classes around it.

``torch.optim`` imports torch's compiler when its first optimiser is made, which costs a stage that trains a small
head more time than the head. The kernel and its results are the same (a test compares them to the bit).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019).

    Args:
        parameters: leaves; one without a gradient at a step is left as it is.
        lr: step size.
        weight_decay: times ``lr``, taken off every parameter at every step.
    """

    BETAS = (0.9, 0.999)
    EPSILON = 1e-8

    def __init__(self, parameters: Iterable[Tensor], lr: float, *, weight_decay: float) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.lr = lr
        self.weight_decay = weight_decay
        self._means = [torch.zeros_like(p) for p in self.parameters]
        self._squares = [torch.zeros_like(p) for p in self.parameters]
        self._steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters]

    def state(self) -> dict[str, Tensor]:
        """All that a step changes besides the parameters, by name; to be copied out of and into."""
        held = {"mean": self._means, "square": self._squares, "step": self._steps}
        return {f"{name}{i}": tensor for name, tensors in held.items() for i, tensor in enumerate(tensors)}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        moved = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        steps = [self._steps[i] for i in moved]
        if not moved:
            return
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            [self.parameters[i] for i in moved],
            [p.grad for p in self.parameters if p.grad is not None],
            [self._means[i] for i in moved],
            [self._squares[i] for i in moved],
            [],
            steps,
            lr=self.lr,
            beta1=self.BETAS[0],
            beta2=self.BETAS[1],
            weight_decay=self.weight_decay,
            eps=self.EPSILON,
            amsgrad=False,
            maximize=False,
        )
