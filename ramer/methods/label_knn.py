"""The labels of the neighbours decide: what retrieval knows without any stand-in for a state.

Weighted k nearest neighbours (Dudani, "The Distance-Weighted k-Nearest-Neighbor Rule", 1976) in the space of every
available modality. Where a head on retrieved states gains nothing beyond it, the states carry no more than the labels.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

from ramer.config import Among, Count, Positive, Searched
from ramer.errors import ModelError
from ramer.inputs import NEIGHBOURS, STATES
from ramer.methods.shared.contract import Method, RetrievalOptions
from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import weigh
from ramer.retrieval.structures import Rules
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.softmax import softmax


class LabelKnnOptions(RetrievalOptions):
    """Options of ``label_knn``.

    Attributes:
        k: most neighbours per available modality; its half, quarter and eighth are tried too.
        taus: temperatures of the weights softmax(cosine / tau).
        smoothings: weights of the training prior, in neighbours. k, tau and smoothing are chosen on validation.
        combine: of several available modalities: the product of their posteriors less the extra priors (as
            ``late_product``), or the mean of their votes.
    """

    k: Annotated[Count, Searched(5, 160, log=True)] = 40
    taus: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)] = (0.02, 0.1, 0.5)
    smoothings: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)] = (0.3, 1.0, 3.0)
    combine: Annotated[Literal["product", "vote"], Among(("product", "vote"))] = "product"


class Choice(NamedTuple):
    """k, tau and smoothing of one fit."""

    k: int
    tau: float
    smoothing: float


class LabelKnn(Method[LabelKnnOptions]):
    """Similarity-weighted votes of labelled neighbours, smoothed by the prior, per available modality."""

    inputs = frozenset({STATES, NEIGHBOURS})
    uses_device = False
    retrieval = True
    choice_: Choice

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        ks = sorted({max(1, self.options.k // part) for part in (1, 2, 4, 8)}, reverse=True)
        best, chosen = -np.inf, None
        for choice in map(Choice._make, product(ks, self.options.taus, self.options.smoothings)):
            self.choice_ = choice
            score = selection(lambda c: self.posterior(val.under(c)), val, self.prior_)
            if score > best:
                best, chosen = score, choice
        assert chosen is not None
        self.choice_ = chosen
        return Fitted(0, best)

    def posterior(self, batch: Batch) -> np.ndarray:
        prior = np.maximum(self.prior_, 1e-12)
        votes = {m: self._votes(batch, m, prior) for m in MODALITIES}
        if self.options.combine == "vote":
            total = sum(votes[m] * batch.available[:, i, None] for i, m in enumerate(MODALITIES))
            return np.asarray(total / np.maximum(batch.available.sum(axis=1, keepdims=True), 1))
        logs = np.tile(np.log(prior), (len(batch), 1))
        for i, m in enumerate(MODALITIES):
            logs += np.log(votes[m] / prior) * batch.available[:, i, None]
        return softmax(logs)

    def _labels(self, batch: Batch, modality: str) -> np.ndarray:
        """Labels of one modality's list, int [n, width], -1 for none."""
        rows = batch.database.contents(batch.lists.rows[modality][:, None].astype(np.int64), batch.rows)[:, 0]
        return np.where(rows >= 0, batch.database.labels[np.maximum(rows, 0)], -1)

    def _votes(self, batch: Batch, modality: str, prior: np.ndarray) -> np.ndarray:
        """Smoothed votes float64 [n, classes] of the nearest k that have a label; the prior where none has."""
        labels = self._labels(batch, modality)
        voting = (labels >= 0) & (np.cumsum(labels >= 0, axis=1) <= self.choice_.k)
        scores = np.where(voting, batch.lists.scores[modality].astype(np.float64), np.nan)
        weights = weigh(scores, Rules(tau=self.choice_.tau))
        count = voting.sum(axis=1, keepdims=True)
        votes = np.stack([(weights * (labels == c)).sum(axis=1) for c in range(len(prior))], axis=1)
        return np.asarray((votes * count + self.choice_.smoothing * prior) / (count + self.choice_.smoothing))

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        """Share of the available lists with a labelled neighbour, and of the voting neighbours with the row's label."""
        voted, same = [], []
        for i, m in enumerate(MODALITIES):
            near = self._labels(batch, m)[batch.available[:, i]]
            voting = (near >= 0) & (np.cumsum(near >= 0, axis=1) <= self.choice_.k)
            voted.append(voting.any(axis=1))
            same.append((near == labels[batch.available[:, i], None])[voting])
        found, pure = np.concatenate(voted), np.concatenate(same)
        return {
            "retrieved": float(found.mean()) if len(found) else np.nan,
            "label_purity": float(pure.mean()) if len(pure) else np.nan,
        }

    def tensors(self) -> dict[str, np.ndarray]:
        return {"choice_": np.array(self.choice_, dtype=np.float64)}

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        if "choice_" not in tensors:
            raise ModelError(f"checkpoint lacks choice_; it holds {', '.join(sorted(tensors))}")
        k, tau, smoothing = tensors["choice_"].tolist()
        self.choice_ = Choice(int(k), tau, smoothing)
        return self
