"""What fitting a method says of itself: the chosen epoch, its score on validation, and one line per epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ramer.evaluation.metrics import selection_score
from ramer.modalities import CONDITIONS
from ramer.training.labelled_rows import LabelledRows


@dataclass
class History:
    """One line per epoch: training loss and the validation score that selection uses."""

    lines: list[dict[str, float]] = field(default_factory=list)

    def __call__(self, epoch: int, train_loss: float, val_selection: float) -> None:
        self.lines.append({"epoch": epoch, "train_loss": train_loss, "val_selection": val_selection})


@dataclass(frozen=True)
class Fitted:
    """best_epoch and the validation selection score there."""

    best_epoch: int
    val_selection: float


def selection(posterior: Callable[[str], np.ndarray], val: LabelledRows, prior: np.ndarray) -> float:
    """Mean weighted F1 over the seven conditions on validation rows (protocol rule 5).

    Args:
        posterior: condition name to class probabilities or scores [n, classes].
        val: the validation rows.
        prior: training class frequencies; they score a row that a condition leaves with nothing.
    """
    predicted = []
    for condition in CONDITIONS:
        some = val.under(condition).available.any(axis=1)
        predicted.append(np.where(some, posterior(condition).argmax(axis=1), prior.argmax()))
    labels = np.tile(val.labels, len(CONDITIONS))
    return selection_score(labels, np.concatenate(predicted), np.repeat(np.arange(len(CONDITIONS)), len(val)))
