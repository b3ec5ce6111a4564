from __future__ import annotations

import math

import pytest

from ramer.training.early_stopping import EarlyStopping


def run(scores: list[float], losses: list[float], patience: int) -> tuple[int, int]:
    """Best epoch, and the epoch at which training stopped."""
    stopping = EarlyStopping(patience)
    for epoch, (score, loss) in enumerate(zip(scores, losses, strict=True), start=1):
        stopping.update(epoch, score, loss)
        if stopping.should_stop:
            return stopping.best_epoch, epoch
    return stopping.best_epoch, len(scores)


def test_stops_after_patience_epochs_without_a_better_one() -> None:
    assert run([0.1, 0.5, 0.4, 0.3, 0.9], [1.0] * 5, patience=2) == (2, 4)


def test_a_better_epoch_restarts_the_patience() -> None:
    assert run([0.1, 0.0, 0.2, 0.0, 0.3], [1.0] * 5, patience=2) == (5, 5)


@pytest.mark.parametrize(("losses", "best"), [([0.9, 0.8, 0.85], 2), ([0.9, 0.9, 0.9], 1)])
def test_ties_go_to_the_lower_loss_then_to_the_earlier_epoch(losses: list[float], best: int) -> None:
    assert run([0.5, 0.5, 0.5], losses, patience=5)[0] == best


def test_a_nan_is_never_better() -> None:
    assert run([0.2, math.nan, 0.1], [1.0, math.nan, 1.0], patience=5)[0] == 1
