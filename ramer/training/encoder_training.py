"""Training one unimodal encoder: steps, epochs, and the epoch that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ramer.config import Encoder
from ramer.nn.encoder import FrozenPart, UnimodalEncoder
from ramer.nn.linear import reuse_gradients
from ramer.nn.residual import ResidualEncoder
from ramer.training.adamw import AdamW
from ramer.training.epochs import EpochLoop
from ramer.training.recipes import Recipe, ResidualRecipe, TransformerRecipe
from ramer.training.regression import Regression, Scores, fit_regression, score
from ramer.training.savepoints import Savepoint
from ramer.training.split_rows import SplitRows

CLIP_NORM = 1.0
SCORING_BATCH = 1024


class TrainedEncoder(NamedTuple):
    """How a training went; the encoder itself was trained in place.

    Attributes:
        epoch: that was kept, 0 for the start.
        scores: on validation rows, there.
        history: one line per epoch.
    """

    epoch: int
    scores: Scores
    history: list[dict[str, float]]


def train_encoder(
    encoder: UnimodalEncoder,
    train: SplitRows,
    val: SplitRows,
    frozen: FrozenPart | None,
    options: Encoder,
    rng: np.random.Generator,
    savepoint: Savepoint,
) -> TrainedEncoder:
    """Train in place and leave the best epoch's weights in the encoder.

    Args:
        frozen: what a residual encoder stands on; not needed by one that stands on nothing.
        rng: order of the rows, and mixup.
        savepoint: of the training.

    Raises:
        DivergedError: a loss or the best weights are no finite numbers.
    """
    recipe = _recipe(encoder, frozen, options, rng)
    optimizer = make_optimizer(encoder, options.lr, options.weight_decay)
    epochs = range(1, options.epochs + 1)
    loop = EpochLoop(encoder, [optimizer], rng, epochs, options.patience, savepoint, candidate=recipe.candidate)
    if recipe.keeps_start:
        loop.stopping.update(0, *recipe.rank(_score(recipe.candidate, val)))
    for _ in loop:
        batches = _batches(len(train), options.batch_size, rng)
        train_loss = loop.checked(_train_epoch(encoder, recipe, train, optimizer, batches))
        scores = _score(recipe.candidate, val)
        line = {"train_loss": train_loss, "val_loss": scores.log_loss, "val_weighted_f1": scores.weighted_f1}
        loop.end(line, *recipe.rank(scores))
    if isinstance(encoder, ResidualEncoder):
        encoder.even_out(_hidden(encoder, train))
    return TrainedEncoder(loop.stopping.best_epoch, _score(encoder, val), loop.history)


def regress(train: SplitRows, val: SplitRows, classes: int, inverse_penalties: Sequence[float]) -> Regression:
    """The logistic regression on the training rows, its penalty chosen on the validation rows."""
    return fit_regression(*train.at_once(), classes, val.at_once(), inverse_penalties)


def score_regression(regression: Regression, val: SplitRows) -> Scores:
    """Of the validation rows."""
    vectors, labels = val.at_once()
    return score(regression.logits(vectors), labels)


def _recipe(encoder: UnimodalEncoder, frozen: FrozenPart | None, options: Encoder, rng: np.random.Generator) -> Recipe:
    if not isinstance(encoder, ResidualEncoder):
        return TransformerRecipe(encoder)
    if frozen is not None:
        encoder.stand_on(frozen)
    return ResidualRecipe(encoder, options, rng)


def _batches(rows: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    # Sorted within a batch: the same mini-batch, but a memory map is read forwards.
    order = torch.from_numpy(rng.permutation(rows))
    return (batch.sort().values for batch in order.split(size))


def _train_epoch(
    encoder: UnimodalEncoder, recipe: Recipe, train: SplitRows, optimizer: AdamW, batches: Iterator[Tensor]
) -> float:
    encoder.train()
    total = torch.zeros(())
    for batch in batches:
        loss = take_step(encoder, recipe.loss(train.gather(batch), train.labels[batch]), optimizer)
        recipe.stepped()
        total += loss.cpu() * len(batch)
    return float(total) / len(train)


def make_optimizer(encoder: UnimodalEncoder, lr: float, weight_decay: float) -> AdamW:
    """Fused AdamW over an encoder whose wide layers keep the memory of their gradients between steps."""
    reuse_gradients(encoder)
    return AdamW(encoder.parameters(), lr, weight_decay=weight_decay)


def take_step(encoder: UnimodalEncoder, loss: Tensor, optimizer: AdamW) -> Tensor:
    """One optimiser step down the loss of a mini-batch; returns the detached loss."""
    optimizer.zero_grad()
    loss.backward()
    _clip_gradients(list(encoder.parameters()))
    optimizer.step()
    return loss.detach()


def _clip_gradients(parameters: list[nn.Parameter]) -> None:
    # As clip_grad_norm_, but a wide encoder's gradients are rewritten only when they do exceed the norm.
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], foreach=True)
    if norm > CLIP_NORM:
        nn.utils.clip_grads_with_norm_(parameters, CLIP_NORM, norm, foreach=True)


def _blocks(rows: SplitRows) -> Iterator[Tensor]:
    return (rows.gather(block) for block in torch.arange(len(rows)).split(SCORING_BATCH))


@torch.inference_mode()
def _score(encoder: UnimodalEncoder, val: SplitRows) -> Scores:
    encoder.eval()
    logits = torch.cat([encoder(block).logits for block in _blocks(val)])
    return score(logits.cpu().numpy(), val.labels.cpu().numpy())


@torch.inference_mode()
def _hidden(encoder: UnimodalEncoder, rows: SplitRows) -> Tensor:
    encoder.eval()
    return torch.cat([encoder(block).hidden for block in _blocks(rows)])
