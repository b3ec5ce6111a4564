"""Early stopping on a validation score, ties broken by a loss."""

from __future__ import annotations

import math


class EarlyStopping:
    """Remembers the best epoch; a score counts as better if higher, or equal with a lower loss.

    Args:
        patience: epochs without a better one before ``should_stop``.

    Attributes:
        best_epoch: 0 before the first update.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_epoch = 0
        self.best_score = -math.inf
        self._best_loss = math.inf
        self._epoch = 0

    def update(self, epoch: int, score: float, loss: float) -> bool:
        """Record an epoch; True if it is the best so far. A NaN is never better."""
        self._epoch = epoch
        better = score > self.best_score or (score == self.best_score and loss < self._best_loss)
        if better:
            self.best_epoch, self.best_score, self._best_loss = epoch, score, loss
        return better

    @property
    def should_stop(self) -> bool:
        return self._epoch - self.best_epoch >= self.patience

    def state(self) -> dict[str, float]:
        """All that it remembers."""
        return {name: value for name, value in vars(self).items() if name != "patience"}

    def restore(self, state: dict[str, float]) -> None:
        """Take back what ``state`` gave."""
        vars(self).update(state)
