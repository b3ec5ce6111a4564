"""Linear discriminant analysis of all modalities together, which integrates out what a row lacks.

Each modality is reduced to its principal axes, each class is a Gaussian over the axes of all modalities, with one
covariance; a row that lacks a modality is judged by the marginal of the others (``ramer.training.gaussian``). Unlike a
product of unimodal posteriors it knows what the modalities share, and unlike a network it needs no masks to learn.

The pool takes part by EM: a full-modality teacher says what its rows are, the Gaussians are fitted to that, and what
both say together, half each of the log probabilities, is what the next round learns from. Without a pool labelled rows
alone are learnt from, and nobody teaches.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from ramer.config import Count
from ramer.inputs import FEATURES, STATES
from ramer.methods.blend import fitted_blend
from ramer.methods.shared.contract import Method, MethodOptions
from ramer.methods.shared.teaching import Lesson, Teacher, agreed
from ramer.modalities import CONDITIONS, FULL_CONDITION, LETTERS, MODALITIES, condition_masks
from ramer.training.batches import Batch
from ramer.training.directions import leading_directions
from ramer.training.fitted import Fitted, History, selection
from ramer.training.gaussian import ClassGaussians
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.softmax import log_of, log_softmax, softmax
from ramer.training.temperature import PATTERNS, calibrated

Share = Annotated[float, Field(ge=0.0, le=1.0)]
SOFTENED = np.geomspace(0.25, 16.0, 13)  # temperatures under which two candidates are compared


class DiscriminantOptions(MethodOptions):
    """Options of ``discriminant``; of several values validation rows choose by log loss, once, in the first round.

    Attributes:
        axes: principal axes of each modality, at the most.
        shrinkages: of the covariance towards independent axes.
        across: share of the covariance between modalities that is kept; 0: independent given the class.
        rounds: of EM with a pool; in the first its rows are what the teacher says, then what both say together.
        most_pool_rows: that are learnt from; of a larger pool so many are drawn.
    """

    axes: Annotated[tuple[Count, ...], Field(min_length=1, strict=False)] = (32, 64, 128)
    shrinkages: Annotated[tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...], Field(min_length=1, strict=False)] = (
        0.02,
        0.05,
        0.1,
        0.2,
        0.4,
        0.7,
    )
    across: Annotated[tuple[Share, ...], Field(min_length=1, strict=False)] = (0.0, 0.3, 0.6, 1.0)
    rounds: Count = 3
    most_pool_rows: Count = 20_000


class Chosen(NamedTuple):
    """What validation rows chose."""

    axes: int
    shrinkage: float
    across: float


class Discriminant(Method[DiscriminantOptions]):
    """One Gaussian per class and one covariance; what is missing is integrated out.

    Attributes:
        teacher: fitted; where there is a pool and none is given, a blend of its own.
        slopes_: of the log likelihoods, float64 [dim, classes] by ``<condition>_<letter>``.
        intercepts_: float64 [conditions, classes].
    """

    inputs = frozenset({FEATURES, STATES})
    teacher: Teacher | None = None

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        batches, classes, rounds = [train.complete], np.eye(self.shape.classes)[train.labels], 1
        said = np.zeros((0, self.shape.classes))
        if len(train.pool_rows):
            teacher = self.teacher or fitted_blend(self, train, val, rng, log)
            lesson = Lesson.give(teacher, train, rng, self.options.most_pool_rows)
            batches, said, rounds = [*batches, lesson.pool], lesson.soft, self.options.rounds
        held = np.concatenate([batch.available for batch in batches])
        axes, parts = self._reduced(batches, held)
        soft, chosen = said, None
        for left in reversed(range(rounds)):
            gaussians = ClassGaussians.of(parts, held, np.concatenate([classes, soft]))
            chosen = chosen or self._choose(gaussians, axes, val)
            self._adopt(gaussians, axes, chosen)
            if left:
                self.temperatures_ = np.ones(PATTERNS)
                self.temperatures_ = calibrated(self.predict_proba, val)
                soft = agreed([said, self.predict_proba(batches[1])])
        return Fitted(0, selection(lambda c: self.predict_proba(val.under(c)), val, self.prior_))

    def _reduced(self, batches: list[Batch], held: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Per modality the directions [dim, axes] and all rows along them; zeros where a row lacks it."""
        directions, parts = [], []
        for i, m in enumerate(MODALITIES):
            x = np.concatenate([batch.features[m][batch.available[:, i]] for batch in batches])
            most = max(self.options.axes)
            found = leading_directions(x, most)[1][:most].T
            part = np.zeros((len(held), found.shape[1]))
            part[held[:, i]] = x @ found
            directions.append(found)
            parts.append(part)
        return directions, parts

    def _choose(self, gaussians: ClassGaussians, directions: list[np.ndarray], val: LabelledRows) -> Chosen:
        """The candidate with the least log loss on validation rows, each set of modalities at its best temperature."""
        whole = val.under(FULL_CONDITION)
        seen = [np.nan_to_num(whole.features[m]) @ d for m, d in zip(MODALITIES, directions, strict=True)]
        available = [val.under(c).available for c in CONDITIONS]
        rows = [
            np.concatenate([np.flatnonzero((a == mask).all(axis=1)) for a in available]) for mask in condition_masks()
        ]
        losses, widest = {}, max(part.shape[1] for part in seen)
        for count in sorted({min(count, widest) for count in self.options.axes}):
            first, x = gaussians.first(count), np.concatenate([part[:, :count] for part in seen], axis=1)
            for across in self.options.across:
                mixed = first.across(across)
                for share in self.options.shrinkages:
                    losses[Chosen(count, share, across)] = self._loss(mixed.shrunk(share), x, val.labels, rows)
        return min(losses, key=losses.__getitem__)

    def _loss(self, gaussians: ClassGaussians, x: np.ndarray, labels: np.ndarray, rows: list[np.ndarray]) -> float:
        """Of rows along the axes, under each set of modalities those to which it is left."""
        loss = 0.0
        for mask, some in zip(condition_masks(), rows, strict=True):
            axes, slopes, intercepts = gaussians.discriminants(mask)
            loss += least_loss(x[np.ix_(some, axes)] @ slopes + intercepts + self._log_prior, labels[some])
        return loss

    def _adopt(self, gaussians: ClassGaussians, directions: list[np.ndarray], chosen: Chosen) -> None:
        """Take the slopes and intercepts of every condition."""
        shrunk = gaussians.first(chosen.axes).across(chosen.across).shrunk(chosen.shrinkage)
        self.slopes_, self.intercepts_ = {}, np.zeros((len(CONDITIONS), self.shape.classes))
        for row, (condition, mask) in enumerate(zip(CONDITIONS, condition_masks(), strict=True)):
            axes, slopes, self.intercepts_[row] = shrunk.discriminants(mask)
            for i in np.flatnonzero(mask):
                own = slopes[shrunk.modality[axes] == i]
                m = MODALITIES[i]
                self.slopes_[f"{condition}_{LETTERS[m]}"] = directions[i][:, : len(own)] @ own

    @property
    def _log_prior(self) -> np.ndarray:
        return log_of(self.prior_)

    def posterior(self, batch: Batch) -> np.ndarray:
        scores = np.tile(self._log_prior, (len(batch), 1))
        for row, (condition, mask) in enumerate(zip(CONDITIONS, condition_masks(), strict=True)):
            some = np.flatnonzero((batch.available == mask).all(axis=1))
            scores[some] += self.intercepts_[row]
            for m in CONDITIONS[condition]:
                scores[some] += batch.features[m][some].astype(np.float64) @ self.slopes_[f"{condition}_{LETTERS[m]}"]
        return softmax(scores)

    def tensors(self) -> dict[str, np.ndarray]:
        return {"intercepts_": self.intercepts_} | {f"slopes_.{name}": a for name, a in self.slopes_.items()}

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.intercepts_ = tensors["intercepts_"]
        self.slopes_ = {n.removeprefix("slopes_."): a for n, a in tensors.items() if n.startswith("slopes_.")}
        return self


def least_loss(scores: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]) -> float:
    """Summed log loss at the best of some temperatures."""
    if not len(labels):
        return 0.0
    own = np.arange(len(labels))
    return float(min(-log_softmax(scores / t)[own, labels].sum() for t in SOFTENED))
