"""Finders: from the lists that a batch holds to the neighbours that stand in for what each row lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np
from torch import nn

from ramer.methods.shared.candidate_scorer import new_scorer, score_with
from ramer.methods.shared.weights import take_weights, weights_of
from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import find
from ramer.retrieval.candidates import ScoreCalibration, combine, own_scores
from ramer.retrieval.reranking import rerank
from ramer.retrieval.structures import Candidates, Database, Rules, Selected
from ramer.training.batches import Batch


@runtime_checkable
class Finder(Protocol):
    """Whoever finds neighbours of a batch."""

    def find(self, batch: Batch) -> Selected:
        """The neighbours of each row per missing modality."""
        ...


@runtime_checkable
class KeptFinder(Finder, Protocol):
    """A finder that is a part of a trained method."""

    @property
    def plain(self) -> bool:
        """Whether it finds by the rules of lists alone, with nothing of its own."""
        ...

    def prepare(self, database: Database) -> None:
        """Do once what the first batch with this database would wait for."""
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """What was learnt, as arrays."""
        ...


@dataclass(frozen=True)
class RuleFinder:
    """Candidates combined by rules, then the first k that hold what is missing, in a learned order if there is one.

    Attributes:
        rules: how lists are combined and how many are taken.
        calibration: of ``bimodal: calibrated``, else None.
        scorer: orders the candidates (``ramer.methods.shared.candidate_scorer``), None for their own order.
    """

    rules: Rules
    calibration: ScoreCalibration | None = None
    scorer: nn.Sequential | None = None

    @classmethod
    def restored(cls, rules: Rules, tensors: Mapping[str, np.ndarray], learned: bool, device: str) -> Self:
        """The finder whose ``tensors`` these are.

        Args:
            learned: whether an order was.
        """
        scores = {m: tensors[f"calibration_.{m}"] for m in MODALITIES if f"calibration_.{m}" in tensors}
        scorer = take_weights(new_scorer().to(device), dict(tensors), "scorer_.") if learned else None
        return cls(rules, ScoreCalibration(scores) if scores else None, scorer)

    @property
    def plain(self) -> bool:
        """Whether nothing was learnt: neither quantiles nor an order."""
        return self.calibration is None and self.scorer is None

    def prepare(self, database: Database) -> None:
        """Nothing: lists come with the batch."""

    def tensors(self) -> dict[str, np.ndarray]:
        learnt: dict[str, np.ndarray] = {}
        if self.calibration is not None:
            learnt |= {f"calibration_.{m}": scores for m, scores in self.calibration.sorted_scores.items()}
        if self.scorer is not None:
            learnt |= weights_of(self.scorer, "scorer_.")
        return learnt

    def candidates(self, batch: Batch) -> Candidates:
        """One list of candidates per row, from the lists of what it has."""
        return combine(batch.lists, batch.queries, batch.database, self.rules, self.calibration)

    def find(self, batch: Batch) -> Selected:
        if self.scorer is None:
            return find(batch.lists, batch.queries, batch.database, self.rules, self.calibration)
        score = score_with(self.scorer)
        return rerank(self.candidates(batch), batch.lists, batch.queries, batch.database, score, self.rules.k)

    def calibrated(self, batch: Batch) -> RuleFinder:
        """The finder with the quantiles of this batch's scores, if its rules compare quantiles at all."""
        if self.rules.bimodal != "calibrated":
            return self
        return replace(self, calibration=ScoreCalibration.fit(own_scores(batch.lists, batch.queries, self.rules)))


class RememberingFinder:
    """A finder that finds each batch once: what is found does not change while the batches do not.

    Args:
        finder: who finds.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._found: dict[int, tuple[Batch, Selected]] = {}  # a batch that is held keeps its id

    def find(self, batch: Batch) -> Selected:
        if id(batch) not in self._found:
            self._found[id(batch)] = batch, self._finder.find(batch)
        return self._found[id(batch)][1]


def quality_of(selected: Selected, batch: Batch, labels: np.ndarray) -> dict[str, float]:
    """Share of missing states retrieved, mean score, and share of labelled neighbours with the row's label."""
    wanted = ~batch.available & batch.available.any(axis=1, keepdims=True)
    used = selected.rows >= 0
    near = np.where(used, batch.database.labels[np.where(used, selected.rows, 0)], -1)
    known = near >= 0
    same = near == labels[:, None, None]
    return {
        "retrieved": float(selected.retrieved[wanted].mean()) if wanted.any() else np.nan,
        "score": float(selected.scores[used].mean()) if used.any() else np.nan,
        "label_purity": float(same[known].mean()) if known.any() else np.nan,
    }
