"""Five readings of the same features, weighed: regressions, ``distil``, Gaussians, taught regressions, and retrieval.

``late_product`` and ``distil`` first, blended; what the blend says of the pool with everything at hand teaches the
Gaussians of ``discriminant`` (without a pool labelled rows do), and what blend and Gaussians say together teaches
regressions of their own (``taught_product``) and a student that sees neighbours' features in the place of what is
missing (``retrieval_distil``). Every member gets a temperature per set of available modalities on validation rows, then
its weight: non-negative, least log loss on validation rows, held near equality.

From the blend's own weights it goes as far towards these as what they save there exceeds chance (``reliability``); with
a pool at least a fifth of the way; with ``pool: late``, all of it, for retrieval is all that such a pool is for. With
either retrieval has some weight, so that a database that grows is read.

Without a pool there is nothing to teach regressions with, and neighbours are few: retrieval is then a member only where
it lowers the log loss on validation rows by more than two standard errors.

What retrieval adds is the difference to the same method with ``database: shuffled`` or ``fill: ridge``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from ramer.config import Count, Searched, Training
from ramer.inputs import FEATURES, OWN_KEYS, STATES
from ramer.methods.blend import Blend, BlendOptions
from ramer.methods.discriminant import Discriminant, DiscriminantOptions
from ramer.methods.distil import DistilOptions
from ramer.methods.retrieval_distil import INPUT_DROPOUT, RetrievalDistil, RetrievalDistilOptions
from ramer.methods.shared.contract import Method
from ramer.methods.shared.own_keys import OwnKeysOptions
from ramer.methods.shared.teaching import Panel
from ramer.methods.shared.weighing import fit_weights, pays, reliability
from ramer.methods.taught_product import TaughtProduct, TaughtProductOptions
from ramer.modalities import CONDITIONS
from ramer.retrieval.structures import Database, Selected
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.softmax import log_of, softmax
from ramer.training.workspace import ModelShape

RETRIEVING, TAUGHT, DISCRIMINANT = "retrieval_distil", "taught_product", "discriminant"
LEAST_SHARE = 0.2  # of the fitted weights where there is a pool
LEAST_WEIGHT = (
    0.05  # fitted, of retrieval where there is a pool: else what is added to its database would change nothing
)


class RamerPlusOptions(OwnKeysOptions):
    """Options of ``ramer_plus``.

    Attributes:
        keys, fill: of ``retrieval_distil``.
        pool: ``learnt``; or ``late``: nothing is learnt from it, as if it came after training; it may be retrieved.
        pull: of the weights towards equality.
        most_pool_rows: that are learnt from; of a larger pool so many are drawn. All of it may be retrieved.
    """

    keys: Literal["auto", "learned", "features"] = "auto"
    fill: Literal["neighbours", "ridge"] = "neighbours"
    pool: Literal["learnt", "late"] = "learnt"
    pull: Annotated[float, Field(ge=0.0), Searched(0.001, 1.0, log=True)] = 0.005
    most_pool_rows: Count = 20_000

    @property
    def unsearched(self) -> frozenset[str]:
        return frozenset({"k", "keys", "database"} if self.fill == "ridge" else ())


class RamerPlus(Method[RamerPlusOptions]):
    """Weighted sum of the log probabilities of regressions, ``distil``, Gaussians, taught regressions and retrieval.

    Attributes:
        members_: by type, in the order of the weights.
        weights_: float64 [members].
    """

    inputs = frozenset({FEATURES, STATES, OWN_KEYS})
    retrieval = True
    lends = True
    weights_: np.ndarray

    def __init__(self, options: RamerPlusOptions, shape: ModelShape, training: Training, device: str = "cpu") -> None:
        super().__init__(options, shape, training, device)
        self.members_: dict[str, Method] = {}

    def _blend(self, pool: bool) -> Blend:
        """The first two members, who teach the others; where there is a pool, one input dropout is enough for them."""
        quick = DistilOptions(type="distil", input_dropouts=(INPUT_DROPOUT,))
        chosen = {quick.type: quick} if pool else {}
        return Blend(BlendOptions(type="blend"), self.shape, self.training, self.device, chosen)

    def _others(self) -> tuple[RetrievalDistil, TaughtProduct, Discriminant]:
        """The members beside the blend's. A new one comes last: weights of older checkpoints are in this order."""
        own, most = (self.shape, self.training, self.device), self.options.most_pool_rows
        passed = self.options.model_dump(include={"k", "keys", "fill", "database"})
        return (
            RetrievalDistil(RetrievalDistilOptions(type=RETRIEVING, most_pool_rows=most, **passed), *own),
            TaughtProduct(TaughtProductOptions(type=TAUGHT, most_pool_rows=most), *own),
            Discriminant(DiscriminantOptions(type=DISCRIMINANT, most_pool_rows=most), *own),
        )

    def fit(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        if self._late:  # here and not in learn: what is calibrated has not seen the pool either
            train, val = train.without_pool(), val.on(val.data.with_pool(train.pool_rows[:0]))
        return super().fit(train, val, rng, log)

    @property
    def _late(self) -> bool:
        return self.options.pool == "late"

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        pool = len(train.pool_rows) > 0
        blend, (retrieving, taught, discriminant) = self._blend(pool), self._others()
        best = blend.fit(train, val, rng, log).best_epoch
        discriminant.teacher = blend
        discriminant.fit(train, val, rng, History())
        taught.teacher = retrieving.teacher = Panel([blend, discriminant], val)
        if pool:
            taught.fit(train, val, rng, History())
        best = max(best, retrieving.fit(train, val, rng, History()).best_epoch)
        members = (*blend.members, retrieving, *((taught,) if pool else ()), discriminant)
        self.members_ = {member.options.type: member for member in members}
        return Fitted(best, self._weigh(blend, pool, val))

    def _weigh(self, blend: Blend, pool: bool, val: LabelledRows) -> float:
        """Choose the weights, and without a pool the members; returns the score on validation rows."""
        pull, grows, names = self.options.pull, pool or self._late, list(self.members_)
        logs = {c: self.member_logs(val.under(c)) for c in CONDITIONS}
        known, labels, rows = _held(logs, val)
        kept = list(range(len(names)))
        if not (grows or pays(known, labels, rows, pull, names.index(RETRIEVING))):
            kept.remove(names.index(RETRIEVING))
        least, own = least_weights(names, grows)[kept], len(blend.members)
        fitted, plain = fit_weights(known[kept], labels, pull, least), np.zeros(len(kept))
        plain[:own] = blend.weights_
        share = 1.0 if self._late else reliability(plain, fitted, known[kept], labels, rows)
        if pool:
            share = max(LEAST_SHARE, share)
        if not share:
            kept, fitted, plain = kept[:own], fitted[:own], plain[:own]
        self.members_ = {names[i]: self.members_[names[i]] for i in kept}
        self.weights_ = share * fitted + (1.0 - share) * plain
        mixed = {c: np.tensordot(self.weights_, logs[c][kept], 1) for c in CONDITIONS}
        return selection(mixed.__getitem__, val, self.prior_)

    def member_logs(self, batch: Batch) -> np.ndarray:
        """Log probabilities [members, n, classes]."""
        return log_of(np.stack([m.predict_proba(batch) for m in self.members_.values()]))

    def posterior(self, batch: Batch) -> np.ndarray:
        return softmax(np.tensordot(self.weights_, self.member_logs(batch), 1))

    def neighbours_of(self, batch: Batch) -> Selected | None:
        return self._retrieving.neighbours_of(batch) if self._retrieving else None

    @property
    def reads_database(self) -> bool:
        """Not where retrieval was left out, has no weight, or fills by regression."""
        return self._retrieving is not None and self._retrieving.reads_database

    def prepare(self, database: Database) -> None:
        for member in self.members_.values():
            member.prepare(database)

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        return self._retrieving.diagnose(batch, labels) if self._retrieving else {}

    @property
    def _retrieving(self) -> Method | None:
        """The member whose neighbours count."""
        weights = dict(zip(self.members_, self.weights_, strict=True))
        return self.members_[RETRIEVING] if weights.get(RETRIEVING) else None

    def tensors(self) -> dict[str, np.ndarray]:
        learnt = {"weights_": self.weights_}
        for name, member in self.members_.items():
            learnt |= {f"{name}.{key}": value for key, value in member.state().items()}
        return learnt

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.weights_ = tensors["weights_"]
        for member in (*self._blend(pool=True).members, *self._others()):
            name = member.options.type
            own = {key.removeprefix(f"{name}."): a for key, a in tensors.items() if key.startswith(f"{name}.")}
            if own:
                self.members_[name] = member.take_state(own)
        return self


def least_weights(members: Iterable[str], pool: bool) -> np.ndarray:
    """Of each member among the fitted weights.

    Args:
        members: their types.
        pool: whether there is one, now or later.
    """
    return np.array([LEAST_WEIGHT if pool and name == RETRIEVING else 0.0 for name in members])


def _held(logs: Mapping[str, np.ndarray], val: LabelledRows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log probabilities, labels and positions of the rows of which a condition leaves something, all conditions."""
    some = {c: np.flatnonzero(val.under(c).available.any(axis=1)) for c in CONDITIONS}
    rows = np.concatenate([some[c] for c in CONDITIONS])
    return np.concatenate([logs[c][:, some[c]] for c in CONDITIONS], axis=1), val.labels[rows], rows
