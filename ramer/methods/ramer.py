"""RAMER: states of the missing modalities are retrieved from clips whose available states are near.

Fan et al., "Leveraging Retrieval Augment Approach for Multimodal Emotion Recognition Under Missing Modalities",
arXiv 2410.02804. The defaults do what the paper means; the rules of its published code are options, one by one
(``ramer_literal`` in ``params.yaml`` takes them all).
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator
from torch import nn

from ramer.config import Positive, Whole
from ramer.inputs import FEATURES, LIVE, NEIGHBOURS, STATES
from ramer.methods.shared.attending import AttendingRows, attending_posterior, fit_attending, new_attending, seed_head
from ramer.methods.shared.contract import MethodOptions, RetrievalOptions, take_weights, weights_of
from ramer.methods.shared.finetuning import Tuned, Tuning
from ramer.methods.shared.imputing import Filled, ImputingMethod
from ramer.methods.shared.live import LiveEncoders, encode_mean
from ramer.methods.shared.reranking import learn_scorer, new_scorer, score_with
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.retrieval.aggregation import (
    Candidates,
    Database,
    Queries,
    Rules,
    ScoreCalibration,
    Selected,
    aggregate,
    combine,
    find,
    own_scores,
)
from ramer.retrieval.reranking import rerank
from ramer.training.batches import Batch, LabelledRows, TrainingBatch
from ramer.training.loop import Fitted, History


class RamerOptions(RetrievalOptions):
    """How lists become stand-ins; see ``ramer.retrieval.aggregation.Rules``.

    aggregate: ``attention`` learns the neighbours' weights with the head, from query, neighbours and scores.
    rerank: ``learned`` orders the candidates by a learned score before the best k are taken (the figure's "Rerank and
    Select"; ``ramer.retrieval.reranking``).
    tau: temperature of ``similarity``; null chooses among ``taus`` on validation. ``attention`` starts there, or at .1.
    normalize_available: False feeds raw states beside normalised retrieved ones (published).
    retrieve: ``features`` averages the neighbours' features and encodes the mean, as the figure draws it.
    encoder: ``finetune`` trains the encoders with the head at ``encoder_lr`` and searches with what they say
    (``_finetuning``); keys are those of the stamped index, or made anew every ``rebuild_every`` epochs (0: never).
    """

    aggregate: Literal["similarity", "mean", "sum", "attention"] = "similarity"
    rerank: Literal["none", "learned"] = "none"
    bimodal: Literal["pooled", "calibrated", "kth_score"] = "pooled"
    drop_first: bool = False
    normalize_query: bool = True
    normalize_values: bool = True
    normalize_available: bool = True
    tau: float | None = Field(default=None, gt=0)
    taus: tuple[Positive, ...] = Field(default=(0.02, 0.1, 0.5), min_length=1, strict=False)
    retrieve: Literal["states", "features"] = "states"
    encoder: Literal["frozen", "finetune"] = "frozen"
    encoder_lr: Positive = 1e-4
    rebuild_every: Whole = 0

    @property
    def encodes(self) -> bool:
        """Whether the method holds encoders of its own."""
        return self.encoder == "finetune" or self.retrieve == "features"

    @model_validator(mode="after")
    def _check(self) -> RamerOptions:
        if self.retrieve == "features" and self.aggregate not in ("similarity", "mean"):
            raise ValueError("retrieve: features needs aggregate: similarity or mean")
        if self.encoder == "finetune" and (self.retrieve == "features" or self.rerank == "learned"):
            raise ValueError("encoder: finetune needs retrieve: states and rerank: none")
        if self.encoder == "finetune" and self.bimodal == "calibrated":
            raise ValueError("encoder: finetune needs bimodal: pooled or kth_score")
        if self.rebuild_every and self.encoder == "frozen":
            raise ValueError("rebuild_every needs encoder: finetune")
        return self


class Ramer(ImputingMethod):
    """Retrieve, aggregate, then the head that all imputations share."""

    Options = RamerOptions
    inputs = frozenset({STATES, NEIGHBOURS})
    retrieval = True
    tau_: float = 0.1
    calibration_: ScoreCalibration | None = None
    scorer_: nn.Sequential | None = None
    encoders_: LiveEncoders | None = None
    tuning_: Tuning | None = None

    @classmethod
    def reads(cls, options: MethodOptions) -> frozenset[str]:
        assert isinstance(options, RamerOptions)
        return super().reads(options) | ({FEATURES, LIVE} if options.encodes else set())

    @property
    def tunes(self) -> bool:
        return bool(self.options.encoder == "finetune")

    @property
    def attends(self) -> bool:
        return bool(self.options.aggregate == "attention")

    @property
    def normalises_available(self) -> bool:  # type: ignore[override]
        return bool(self.options.normalize_available)

    @property
    def rules(self) -> Rules:
        o = self.options
        return Rules(
            k=o.k,
            aggregate="similarity" if self.attends else o.aggregate,
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
        if self.options.encodes:
            encoders, self.description_ = LiveEncoders.pretrained(train)
            self.encoders_ = encoders.to(self.device).eval()
        fixed = self.options.aggregate != "similarity" or self.tunes
        taus = (self.tau_,) if fixed else self.options.taus
        if self.options.tau is not None:
            taus = (self.options.tau,)
        self._found: dict[int, Selected] = {}  # what is found does not depend on tau
        seed = rng.integers(2**31)
        if self.options.rerank == "learned":
            self.scorer_ = learn_scorer(train, self.candidates, np.random.default_rng(seed), self.device)
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

    def candidates(self, batch: Batch) -> Candidates:
        """One list of candidates per row, from the lists of what it has."""
        assert batch.lists is not None
        assert batch.database is not None
        return combine(batch.lists, queries_of(batch), batch.database, self.rules, self.calibration_)

    def prepare(self, database: Database) -> None:
        """Make the keys of this database anew, if the method does that at all: no clip waits for them later."""
        if self.tuning_ is not None:
            _ = self.tuning_.keys(database).norms

    def find(self, batch: Batch) -> Selected:
        """The neighbours that stand in for each missing modality."""
        return self.find_in(batch if self.tuning_ is None else self.tuning_.seen(batch))

    def find_in(self, batch: Batch) -> Selected:
        """As ``find``, by the lists that the batch holds."""
        if batch.found is not None:
            return batch.found
        assert batch.lists is not None
        assert batch.database is not None
        queries = queries_of(batch)
        if self.scorer_ is None:
            return find(batch.lists, queries, batch.database, self.rules, self.calibration_)
        score = score_with(self.scorer_)
        return rerank(self.candidates(batch), batch.lists, queries, batch.database, score, self.options.k)

    def _find_once(self, batch: Batch) -> Selected:
        known = getattr(self, "_found", None)
        if known is None:
            return self.find_in(batch)
        return known.get(id(batch)) or known.setdefault(id(batch), self.find_in(batch))

    def fill(self, batch: Batch) -> Filled:
        assert batch.database is not None
        near = self._find_once(batch)
        if self.encoders_ is not None:
            return Filled(encode_mean(self.encoders_, near, batch.database, self.rules, self.device), near.retrieved)
        found = aggregate(near, batch.database, self.rules)
        return Filled(found.states, found.retrieved)

    def fit_head(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        if not self.attends and not self.tunes:
            return super().fit_head(train, val, rng, log)
        seed_head(rng)
        if self.tunes:
            assert self.encoders_ is not None
            self.tuning_ = Tuning(self, Tuned(self.encoders_, self._new_fusion(), self.options.rebuild_every > 0))
            return self.tuning_.fit(train, val, rng, log)
        self.attending_ = new_attending(self, self.tau_)
        return fit_attending(self, self.attending_, self._attending(train), self._attending(val), train, val, rng, log)

    def _new_fusion(self) -> nn.Module:
        width = sum(self.shape.state_dims.values()) + 2 * len(MODALITIES)
        return new_attending(self, self.tau_) if self.attends else self._new_head(width)

    def _attending(self, rows: LabelledRows) -> AttendingRows:
        own = {c: self.own(rows.under(c)) for c in CONDITIONS}
        found = {c: self._find_once(rows.under(c)) for c in CONDITIONS}
        return AttendingRows(rows, own, found, self.options.normalize_values, self.device)

    def posterior(self, batch: Batch) -> np.ndarray:
        if self.tuning_ is not None:
            return self.tuning_.posterior(self.tuning_.seen(batch))
        if not self.attends:
            return super().posterior(batch)
        near, normalize = self.find(batch), self.options.normalize_values
        return attending_posterior(self.attending_, self.own(batch), batch, near, normalize, self.device)

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
        learnt = {"tau_": np.array([self.tau_])}
        if self.tuning_ is not None:
            learnt |= weights_of(self.tuning_.tuned, "tuned_.")
        elif self.attends:
            learnt |= weights_of(self.attending_, "attending_.")
        else:
            learnt |= super().tensors()
        if self.encoders_ is not None and not self.tunes:
            learnt |= weights_of(self.encoders_, "encoders_.")
        if self.calibration_ is not None:
            learnt |= {f"calibration_.{m}": s for m, s in self.calibration_.sorted_scores.items()}
        if self.scorer_ is not None:
            learnt |= weights_of(self.scorer_, "scorer_.")
        return learnt

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.tau_ = float(tensors["tau_"][0])
        scores = {m: tensors[f"calibration_.{m}"] for m in MODALITIES if f"calibration_.{m}" in tensors}
        self.calibration_ = ScoreCalibration(scores) if scores else None
        if self.options.rerank == "learned":
            self.scorer_ = take_weights(new_scorer().to(self.device), tensors, "scorer_.")
        if self.options.encodes:
            self.encoders_ = LiveEncoders.described(self.description_).to(self.device).eval()
        if self.encoders_ is not None and self.tunes:
            tuned = Tuned(self.encoders_, self._new_fusion(), self.options.rebuild_every > 0)
            self.tuning_ = Tuning(self, take_weights(tuned, tensors, "tuned_."))
            return self
        if self.encoders_ is not None:
            take_weights(self.encoders_, tensors, "encoders_.")
        if not self.attends:
            return super().restore(tensors)
        self.attending_ = take_weights(new_attending(self, self.tau_), tensors, "attending_.")
        return self


def queries_of(batch: Batch) -> Queries:
    return Queries(batch.states, batch.available, batch.rows)
