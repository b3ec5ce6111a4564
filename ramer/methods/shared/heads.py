"""Heads on states: what they are fed, how all of them are trained, and the two that there are.

A head's inputs are computed once where states and neighbours are constants; every head has the same masks, the same
budget and the same selection, so that a comparison of imputations is one of imputation alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ramer.config import Training
from ramer.modalities import CONDITIONS, FULL_CONDITION, MODALITIES
from ramer.nn.attention import AttendingClassifier, Neighbourhood
from ramer.nn.context import Context
from ramer.nn.fusion import FusionClassifier
from ramer.retrieval.aggregation import gather
from ramer.retrieval.structures import Database, Selected
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.loop import fit_epochs
from ramer.training.workspace import ModelShape

Fed = Tensor | Neighbourhood | Context
Scores = dict[str, np.ndarray]
ATTENTION_SIZE = 32  # of the space in which queries meet neighbours


def fusion_width(shape: ModelShape) -> int:
    """Length of [h_a, h_v, h_t, available bits, imputed bits]."""
    return sum(shape.state_dims.values()) + 2 * len(MODALITIES)


def new_fusion(shape: ModelShape, training: Training, device: str) -> FusionClassifier:
    """An untrained head over own and imputed states."""
    return FusionClassifier(fusion_width(shape), training.hidden, shape.classes, training.dropout).to(device)


def new_attending(shape: ModelShape, training: Training, tau: float, device: str) -> AttendingClassifier:
    """An untrained head that attends to neighbours; its weights start as softmax(score / tau)."""
    budget = training.hidden, shape.classes, training.dropout
    return AttendingClassifier(shape.state_dims, *budget, ATTENTION_SIZE, tau).to(device)


class HeadInputs(ABC):
    """Rows under all conditions as a head takes them."""

    @abstractmethod
    def at(self, positions: Tensor, conditions: Tensor) -> Fed:
        """Rows by position [b], each under a condition by number [b]."""

    @abstractmethod
    def scores(self, head: nn.Module) -> Scores:
        """The head's scores [n, classes] of all rows by condition."""


class FusedInputs(HeadInputs):
    """Fused vectors of all conditions, float32 [7, n, width], in the order of ``CONDITIONS``."""

    def __init__(self, fused: np.ndarray, device: str) -> None:
        self._fused = torch.from_numpy(fused).to(device)

    def at(self, positions: Tensor, conditions: Tensor) -> Tensor:
        return self._fused[conditions, positions]

    def scores(self, head: nn.Module) -> Scores:
        return dict(zip(CONDITIONS, head(self._fused).cpu().numpy(), strict=True))


class AttendedInputs(HeadInputs):
    """Neighbours found once; their states are gathered when they are asked for.

    Args:
        batches: the rows by condition.
        own: their states by condition and modality, zeros where unavailable.
        found: their neighbours by condition.
    """

    def __init__(
        self,
        batches: Mapping[str, Batch],
        own: Mapping[str, Mapping[str, np.ndarray]],
        found: Mapping[str, Selected],
        normalize: bool,
        device: str,
    ) -> None:
        self._database, self._normalize, self._device = batches[FULL_CONDITION].database, normalize, device
        self._available = np.stack([batches[c].available for c in CONDITIONS])
        self._near = Selected(
            np.stack([found[c].rows for c in CONDITIONS]), np.stack([found[c].scores for c in CONDITIONS])
        )
        self._own = {m: torch.from_numpy(np.stack([own[c][m] for c in CONDITIONS])).to(device) for m in MODALITIES}

    def at(self, positions: Tensor, conditions: Tensor) -> Neighbourhood:
        return self._gather(positions.numpy(), conditions.numpy())

    def scores(self, head: nn.Module) -> Scores:
        everyone = np.arange(self._available.shape[1])
        return {c: head(self._gather(everyone, i)).cpu().numpy() for i, c in enumerate(CONDITIONS)}

    def _gather(self, positions: np.ndarray, conditions: np.ndarray | int) -> Neighbourhood:
        at = conditions, positions
        near = Selected(self._near.rows[at], self._near.scores[at])
        own = {m: states[at] for m, states in self._own.items()}
        return neighbourhood(own, self._available[at], near, self._database, self._normalize, self._device)


def neighbourhood(
    own: Mapping[str, Tensor], available: np.ndarray, near: Selected, database: Database, normalize: bool, device: str
) -> Neighbourhood:
    """Queries and the states of their neighbours as tensors.

    Args:
        own: the queries' states [n, hidden], zeros where unavailable.
        near: of the n queries.
        normalize: neighbours' states of length 1.
    """
    values = {
        m: torch.from_numpy(gather(database, m, near.rows[:, i], normalize)).to(device)
        for i, m in enumerate(MODALITIES)
    }
    scores = torch.from_numpy(near.scores.astype(np.float32)).to(device)
    return Neighbourhood(dict(own), torch.from_numpy(available).to(device), values, scores)


def fit_head(
    head: nn.Module,
    rows: HeadInputs,
    held_out: HeadInputs,
    train: TrainingBatch,
    val: LabelledRows,
    training: Training,
    rng: np.random.Generator,
    log: History,
) -> Fitted:
    """Train a head in place on inputs that do not change.

    Args:
        rows, held_out: inputs of the training and the validation rows.
        rng: order of the rows.
    """
    labels = torch.from_numpy(train.labels).to(next(head.parameters()).device)

    def loss(positions: Tensor, conditions: Tensor) -> Tensor:
        return nn.functional.cross_entropy(head(rows.at(positions, conditions)), labels[positions])

    def validate() -> float:
        return selection(held_out.scores(head).__getitem__, val, train.prior)

    return fit_epochs(head, loss, validate, train, training, rng, log)


def probabilities(scores: Tensor) -> np.ndarray:
    """Class probabilities float64 [n, classes] of a head's scores."""
    return np.asarray(scores.double().softmax(dim=1).cpu().numpy())
