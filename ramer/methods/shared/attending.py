"""Training and use of a head that attends to retrieved neighbours; see ``ramer.nn.attention``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ramer.methods.shared.contract import Method
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.nn.attention import AttendingClassifier, Neighbourhood
from ramer.retrieval.aggregation import Database, Selected, gather
from ramer.seeding import seed_torch
from ramer.training.batches import Batch, LabelledRows, TrainingBatch
from ramer.training.loop import Fitted, History, fit_epochs, selection

SIZE = 32  # of the space in which queries meet neighbours


def new_attending(method: Method, tau: float) -> AttendingClassifier:
    """An untrained head for a method's shape and budget."""
    budget, shape = method.training, method.shape
    head = AttendingClassifier(shape.state_dims, budget.hidden, shape.classes, budget.dropout, SIZE, tau)
    return head.to(method.device)


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


class AttendingRows:
    """Rows under all conditions, found once; their neighbours' states are gathered when they are asked for.

    Args:
        own: the queries' states by condition, zeros where unavailable.
        found: the neighbours of a batch.
    """

    def __init__(
        self,
        rows: LabelledRows,
        own: Mapping[str, Mapping[str, np.ndarray]],
        found: Mapping[str, Selected],
        normalize: bool,
        device: str,
    ) -> None:
        batches = [rows.under(c) for c in CONDITIONS]
        database = batches[0].database
        assert database is not None
        self._database, self._normalize, self._device = database, normalize, device
        self._available = np.stack([b.available for b in batches])
        self._near = Selected(
            np.stack([found[c].rows for c in CONDITIONS]), np.stack([found[c].scores for c in CONDITIONS])
        )
        self._own = {m: torch.from_numpy(np.stack([own[c][m] for c in CONDITIONS])).to(device) for m in MODALITIES}

    def gather(self, positions: np.ndarray, conditions: np.ndarray | int) -> Neighbourhood:
        """Rows by position, each under a condition by number."""
        at = conditions, positions
        near = Selected(self._near.rows[at], self._near.scores[at])
        own = {m: states[at] for m, states in self._own.items()}
        return neighbourhood(own, self._available[at], near, self._database, self._normalize, self._device)


def fit_attending(
    method: Method,
    head: AttendingClassifier,
    rows: AttendingRows,
    held_out: AttendingRows,
    train: TrainingBatch,
    val: LabelledRows,
    rng: np.random.Generator,
    log: History,
) -> Fitted:
    """Train a head in place on frozen states, with the budget and the selection of all heads."""
    labels = torch.from_numpy(train.labels).to(method.device)
    everyone = np.arange(len(val))

    def loss(positions: Tensor, conditions: Tensor) -> Tensor:
        scores = head(rows.gather(positions.numpy(), conditions.numpy()))
        return torch.nn.functional.cross_entropy(scores, labels[positions])

    def validate() -> float:
        scores = {c: head(held_out.gather(everyone, i)).cpu().numpy() for i, c in enumerate(CONDITIONS)}
        return selection(scores.__getitem__, val, method.prior_)

    return fit_epochs(head, loss, validate, train, method.training, rng, log)


def seed_head(rng: np.random.Generator) -> None:
    """Seed what is initialised next, as for every other head."""
    seed_torch(int(rng.integers(2**31)), "head")


def attending_posterior(
    head: AttendingClassifier, own: Mapping[str, np.ndarray], batch: Batch, near: Selected, normalize: bool, device: str
) -> np.ndarray:
    """Class probabilities float64 [n, classes] of a batch."""
    assert batch.database is not None
    tensors = {m: torch.from_numpy(states).to(device) for m, states in own.items()}
    with torch.inference_mode():
        scores = head(neighbourhood(tensors, batch.available, near, batch.database, normalize, device))
        return np.asarray(scores.double().softmax(dim=1).cpu().numpy())
