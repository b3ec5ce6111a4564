"""The loop that every neural missing-modality model shares: same budget, same masks, same selection."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ramer.config import Training
from ramer.training.adamw import AdamW
from ramer.training.epochs import EpochLoop
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import TrainingBatch

LEAST_STEPS = 6  # of an epoch


def fit_epochs(
    module: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    validate: Callable[[], float],
    train: TrainingBatch,
    training: Training,
    rng: np.random.Generator,
    log: History,
    optimizers: Sequence[AdamW] | None = None,
    starting: Callable[[int], None] | None = None,
    generators: Sequence[torch.Generator] = (),
) -> Fitted:
    """Train with one drawn condition per row and epoch, keep the epoch that is best on validation.

    Args:
        module: what is trained; left in eval mode with its best weights.
        loss: (row positions [b], condition numbers [b]) to a scalar loss.
        validate: the selection score of the module as it stands (called in eval mode, without gradients). It may
            draw nothing at random: it is called once more when a run goes on where it was killed.
        train: the training rows; gives the conditions of each epoch, and where a run that was killed goes on from.
        training: epochs, batch size, patience, learning rate, weight decay.
        rng: order of the rows.
        log: receives one line per epoch.
        optimizers: of parts of the module; one of all of it, by ``training``, if None.
        starting: called with the number of every epoch before it.
        generators: that the loss draws from, besides ``rng`` and torch's global ones.

    Raises:
        DivergedError: a loss or the best weights are no finite numbers.
    """
    if optimizers is None:
        optimizers = [AdamW(module.parameters(), training.lr, weight_decay=training.weight_decay)]
    budget = range(training.epochs), training.patience
    point = next(train.savepoints)
    loop = EpochLoop(module, optimizers, rng, *budget, point, generators=generators, resumed=validate)
    for epoch in loop:
        if starting is not None:
            starting(epoch)
        module.train()
        order = torch.from_numpy(rng.permutation(len(train)))
        conditions = torch.from_numpy(train.conditions_at(epoch))
        total = 0.0
        for positions in order.split(rows_per_step(len(train), training)):
            total += _step(module, loss, optimizers, positions, conditions[positions]) * len(positions)
        train_loss = loop.checked(total / len(train))
        module.eval()
        with torch.inference_mode():
            score = validate()
        loop.end({"train_loss": train_loss, "val_selection": score}, score)
    log.lines.extend(loop.history)
    module.eval()
    return Fitted(loop.stopping.best_epoch, loop.stopping.best_score)


def rows_per_step(rows: int, training: Training) -> int:
    """``train.batch_size``, fewer where an epoch would have less than ``LEAST_STEPS`` steps.

    With 100 rows and batches of 128 patience ended a head's training after as many steps as it has epochs to wait.
    """
    return min(training.batch_size, math.ceil(rows / LEAST_STEPS))


def _step(
    module: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizers: Sequence[AdamW],
    positions: Tensor,
    conditions: Tensor,
) -> float:
    """One optimiser step on a mini-batch; returns its loss."""
    for optimizer in optimizers:
        optimizer.zero_grad()
    value = loss(positions, conditions)
    value.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
    return float(value.detach())
