"""RAMER: states of the missing modalities are retrieved from clips whose available states are near.

Fan et al., "Leveraging Retrieval Augment Approach for Multimodal Emotion Recognition Under Missing Modalities",
arXiv 2410.02804. The defaults do what the paper means; the rules of its published code are options, one by one
(``ramer_literal`` in ``params.yaml`` takes them all).
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import Field

from ramer.batches import NEIGHBOURS, STATES, Batch, LabelledRows, TrainingBatch
from ramer.methods._contract import RetrievalOptions
from ramer.methods._imputing import Filled, ImputingMethod
from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import (
    Queries,
    Rules,
    ScoreCalibration,
    Selected,
    aggregate,
    find,
    own_scores,
)
from ramer.training.loop import Fitted, History


class RamerOptions(RetrievalOptions):
    """How lists become stand-ins; see ``ramer.retrieval.aggregation.Rules``.

    tau: temperature of ``similarity``; null chooses among ``taus`` on validation.
    normalize_available: False feeds raw states beside normalised retrieved ones (published).
    """

    aggregate: Literal["similarity", "mean", "sum"] = "similarity"
    bimodal: Literal["pooled", "calibrated", "kth_score"] = "pooled"
    drop_first: bool = False
    normalize_query: bool = True
    normalize_values: bool = True
    normalize_available: bool = True
    tau: float | None = Field(default=None, gt=0)
    taus: tuple[float, ...] = Field(default=(0.02, 0.1, 0.5), min_length=1, strict=False)


class Ramer(ImputingMethod):
    """Retrieve, aggregate, then the head that all imputations share."""

    Options = RamerOptions
    inputs = frozenset({STATES, NEIGHBOURS})
    retrieval = True
    tau_: float = 0.1
    calibration_: ScoreCalibration | None = None

    @property
    def normalises_available(self) -> bool:  # type: ignore[override]
        return bool(self.options.normalize_available)

    @property
    def rules(self) -> Rules:
        o = self.options
        return Rules(
            k=o.k,
            aggregate=o.aggregate,
            bimodal=o.bimodal,
            drop_first=o.drop_first,
            normalize_query=o.normalize_query,
            normalize_values=o.normalize_values,
            tau=self.tau_,
        )

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        if self.options.bimodal == "calibrated":
            whole = val.under("avt")
            assert whole.lists is not None
            self.calibration_ = ScoreCalibration.fit(own_scores(whole.lists, queries_of(whole), self.rules))
        taus = self.options.taus if self.options.aggregate == "similarity" else (self.tau_,)
        if self.options.tau is not None:
            taus = (self.options.tau,)
        self._found: dict[int, Selected] = {}  # what is found does not depend on tau
        seed = rng.integers(2**31)
        best, kept, lines = Fitted(-1, -np.inf), {}, []
        for tau in taus:
            self.tau_ = tau
            trial = History()
            # Every temperature starts from the same weights and sees the same order of rows.
            fitted = self.fit_head(train, val, np.random.default_rng(seed), trial)
            if fitted.val_selection > best.val_selection:
                best, kept, lines = fitted, self.tensors(), trial.lines
        log.lines += lines
        del self._found
        self.restore(kept)
        return best

    def find(self, batch: Batch) -> Selected:
        """The neighbours that stand in for each missing modality."""
        assert batch.lists is not None
        assert batch.database is not None
        return find(batch.lists, queries_of(batch), batch.database, self.rules, self.calibration_)

    def fill(self, batch: Batch) -> Filled:
        assert batch.database is not None
        known = getattr(self, "_found", None)
        if known is None:
            selected = self.find(batch)
        else:
            selected = known.get(id(batch)) or known.setdefault(id(batch), self.find(batch))
        found = aggregate(selected, batch.database, self.rules)
        return Filled(found.states, found.retrieved)

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        """Share of missing states retrieved, mean score, and share of labelled neighbours with the row's label."""
        assert batch.database is not None
        selected = self.find(batch)
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

    def tensors(self) -> dict[str, np.ndarray]:
        learnt = super().tensors() | {"tau_": np.array([self.tau_])}
        if self.calibration_ is not None:
            learnt |= {f"calibration_.{m}": s for m, s in self.calibration_.sorted_scores.items()}
        return learnt

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.tau_ = float(tensors["tau_"][0])
        scores = {m: tensors[f"calibration_.{m}"] for m in MODALITIES if f"calibration_.{m}" in tensors}
        self.calibration_ = ScoreCalibration(scores) if scores else None
        return super().restore(tensors)


def queries_of(batch: Batch) -> Queries:
    return Queries(batch.states, batch.available, batch.rows)
