"""Frozen heads of all replicates at once for a few clips: their databases are joined and their layers stacked.

For a single clip the arithmetic is next to nothing and calls are what takes the time: this is two to three times as
fast as one replicate after the other (``python -m benchmarks.predict``), and gives the same to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ramer.methods.shared.fusing import FrozenHead
from ramer.methods.shared.stacked_method import StackedPrediction
from ramer.modalities import MODALITIES
from ramer.nn.stacked import apply_perceptrons, stack_perceptrons
from ramer.retrieval.aggregation import find
from ramer.retrieval.structures import Database, Lists, Neighbours, Queries, Rules, Selected
from ramer.training.batches import Arrays, Batch
from ramer.training.temperature import pattern_codes, scale


class Member(NamedTuple):
    """One replicate of a stack.

    Attributes:
        head: frozen, that does not attend. prior, temperatures: of its method.
        database: over the same rows as all others.
    """

    head: FrozenHead
    prior: np.ndarray
    temperatures: np.ndarray
    database: Database


class StackedHeads:
    """Heads that find by the same plain rules: no learned order, no calibration, nothing shuffled.

    Args:
        members: of all replicates, their heads' rules alike but for tau.
        rules: of the first one.
        states: of all databases, [replicates, rows, hidden] per modality; what is memory-mapped stays on disk.
    """

    def __init__(self, members: Sequence[Member], rules: Rules, states: Mapping[str, np.ndarray]) -> None:
        databases = [member.database for member in members]
        self._first, self._rules = members[0].head, rules
        self._rows = len(databases[0].available)
        self._database = join_databases(databases, states)
        self._taus = np.array([member.head.settings.rules.tau for member in members])
        self._temperatures = np.stack([member.temperatures for member in members])
        self._priors = np.stack([member.prior for member in members]).astype(np.float64)
        with torch.inference_mode():
            self._heads = stack_perceptrons([member.head.layers for member in members])

    def predict(self, states: Arrays, available: np.ndarray, lists: Sequence[Lists]) -> StackedPrediction:
        replicates, n = len(self._taus), len(available)
        tiled, nowhere = np.tile(available, (replicates, 1)), np.full(replicates * n, -1, dtype=np.int64)
        flat = {m: s.reshape(-1, s.shape[2]) for m, s in states.items()}
        offsets = np.repeat(np.arange(replicates) * self._rows, n)[:, None]
        rows = {m: np.concatenate([found.rows[m] for found in lists]).astype(np.int64) for m in MODALITIES}
        rows = {m: np.where(r < 0, -1, r + offsets) for m, r in rows.items()}
        joined = Lists(rows, {m: np.concatenate([found.scores[m] for found in lists]) for m in MODALITIES})
        selected = find(joined, Queries(flat, tiled), self._database, self._rules)
        # Each replicate's temperature of the weights is its own; the first one's, which all share here, is undone.
        share = np.repeat(self._rules.tau / self._taus, n)[:, None, None]
        near = Selected(selected.rows, selected.scores * share)
        batch = Batch(nowhere, tiled, states=flat, neighbours=Neighbours(joined, self._database))
        fused = torch.from_numpy(self._first.fused(batch, near)).view(replicates, n, -1)
        with torch.inference_mode():
            proba = apply_perceptrons(self._heads, fused).double().softmax(dim=2).numpy()
        return StackedPrediction(self._calibrated(proba, available), Selected(selected.rows[:n], selected.scores[:n]))

    def _calibrated(self, proba: np.ndarray, available: np.ndarray) -> np.ndarray:
        temperatures = self._temperatures[:, pattern_codes(available)]
        scaled = scale(proba.reshape(-1, proba.shape[2]), temperatures.reshape(-1)).reshape(proba.shape)
        return np.where(np.asarray(available.any(axis=1))[:, None], scaled, self._priors[:, None])


def join_databases(databases: Sequence[Database], states: Mapping[str, np.ndarray]) -> Database:
    """The rows of all databases, one after the other; those of the first keep their numbers."""
    flat = {m: np.asarray(table).reshape(-1, table.shape[2]) for m, table in states.items()}
    norms = {m: np.concatenate([d.norms[m] for d in databases]) for m in MODALITIES}
    available, labels = np.concatenate([d.available for d in databases]), np.concatenate([d.labels for d in databases])
    return Database(flat, available, labels, known_norms=norms)
