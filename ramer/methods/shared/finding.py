"""Finders: from the lists that a batch holds to the neighbours that stand in for what each row lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from torch import nn

from ramer.methods.shared.candidate_scorer import score_with
from ramer.retrieval.aggregation import find
from ramer.retrieval.candidates import ScoreCalibration, combine, own_scores
from ramer.retrieval.reranking import rerank
from ramer.retrieval.structures import Candidates, Rules, Selected
from ramer.training.batches import Batch


@runtime_checkable
class Finder(Protocol):
    """Whoever finds neighbours in a batch's lists."""

    def find(self, batch: Batch) -> Selected:
        """The neighbours of each row per missing modality."""
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

    @property
    def plain(self) -> bool:
        """Whether nothing was learnt: neither quantiles nor an order."""
        return self.calibration is None and self.scorer is None

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
