"""Four readings of the same features, weighed: regressions, taught regressions, ``distil``, and retrieval.

``late_product`` and ``distil`` first, blended; what the blend says of the pool with everything at hand teaches
regressions of their own (``taught_product``) and a student that sees neighbours' features in the place of what is
missing (``retrieval_distil``). Every member gets a temperature per set of available modalities on validation rows, then
its weight: non-negative, least log loss on validation rows, held near equality. Without a pool there is nothing to
teach regressions with, and three members remain.

What retrieval adds is the difference to the same method with ``database: shuffled`` or ``fill: ridge``.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field
from scipy.special import softmax

from ramer.config import Count, Searched, Training
from ramer.inputs import FEATURES, OWN_KEYS, STATES
from ramer.methods.blend import Blend, BlendOptions
from ramer.methods.retrieval_distil import RetrievalDistil, RetrievalDistilOptions
from ramer.methods.shared.contract import Method
from ramer.methods.shared.own_keys import OwnKeysOptions
from ramer.methods.shared.weighing import fit_weights
from ramer.methods.taught_product import TaughtProduct, TaughtProductOptions
from ramer.modalities import CONDITIONS
from ramer.retrieval.structures import Database, Selected
from ramer.training.batches import Batch
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.loop import Fitted, History, selection
from ramer.training.workspace import ModelShape


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
    pull: Annotated[float, Field(ge=0.0), Searched(0.001, 1.0, log=True)] = 0.02
    most_pool_rows: Count = 20_000


class RamerPlus(Method[RamerPlusOptions]):
    """Weighted sum of the log probabilities of regressions, ``distil``, retrieval and, with a pool, taught regressions.

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
        self._blend = Blend(BlendOptions(type="blend"), shape, training, device)
        passed = options.model_dump(include={"k", "keys", "fill", "database", "most_pool_rows"})
        retrieval = RetrievalDistilOptions(type="retrieval_distil", **passed)
        self._retrieving = RetrievalDistil(retrieval, shape, training, device)
        taught = TaughtProductOptions(type="taught_product", most_pool_rows=options.most_pool_rows)
        self._taught = TaughtProduct(taught, shape, training, device)
        self._retrieving.teacher = self._taught.teacher = self._blend
        self.members_: dict[str, Method] = {}

    def _members(self, taught: bool) -> dict[str, Method]:
        blended = dict(zip(self._blend.options.members, self._blend.members, strict=True))
        others: dict[str, Method] = {"retrieval_distil": self._retrieving}
        return {**blended, **others, **({"taught_product": self._taught} if taught else {})}

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        if self.options.pool == "late":
            train, val = train.without_pool(), val.on(val.data.with_pool(train.pool_rows[:0]))
        self.members_ = self._members(taught=len(train.pool_rows) > 0)
        epochs = [self._blend.fit(train, val, rng, log).best_epoch]
        others = list(self.members_.values())[len(self._blend.members) :]
        epochs += [member.fit(train, val, rng, History()).best_epoch for member in others]
        logs, labels = zip(*(self._held(val, condition) for condition in CONDITIONS), strict=True)
        self.weights_ = fit_weights(np.concatenate(logs, axis=1), np.concatenate(labels), self.options.pull)
        return Fitted(max(epochs), selection(lambda c: self.predict_proba(val.under(c)), val, self.prior_))

    def _held(self, val: LabelledRows, condition: str) -> tuple[np.ndarray, np.ndarray]:
        """Log probabilities and labels of the rows of which a condition leaves something."""
        batch = val.under(condition)
        some = np.flatnonzero(batch.available.any(axis=1))
        return self._logs(batch.take(some)), val.labels[some]

    def _logs(self, batch: Batch) -> np.ndarray:
        """Log probabilities [members, n, classes]."""
        return np.log(np.maximum(np.stack([m.predict_proba(batch) for m in self.members_.values()]), 1e-12))

    def posterior(self, batch: Batch) -> np.ndarray:
        return np.asarray(softmax(np.tensordot(self.weights_, self._logs(batch), 1), axis=1))

    def neighbours_of(self, batch: Batch) -> Selected | None:
        return self._retrieving.neighbours_of(batch)

    def prepare(self, database: Database) -> None:
        self._retrieving.prepare(database)

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        return self._retrieving.diagnose(batch, labels)

    def tensors(self) -> dict[str, np.ndarray]:
        learnt = {"weights_": self.weights_}
        for name, member in self.members_.items():
            learnt |= {f"{name}.{key}": value for key, value in member.state().items()}
        return learnt

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.weights_ = tensors["weights_"]
        self.members_ = self._members(taught=any(name.startswith("taught_product.") for name in tensors))
        for name, member in self.members_.items():
            own = f"{name}."
            member.take_state({key.removeprefix(own): a for key, a in tensors.items() if key.startswith(own)})
        return self
