"""A weighted product of methods that read the same raw features in different ways: linear models and networks.

Logarithmic opinion pool (Genest and Zidek, "Combining Probability Distributions", 1986) of calibrated posteriors; the
weights are chosen on validation rows. What it gains may be a gain of averaging alone: hold it against two copies of one
member (``members: [distil, distil]``) before crediting it to the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Annotated, Self

import numpy as np
from jaxtyping import Float
from pydantic import AfterValidator, Field

from ramer.config import Count, Training
from ramer.methods import build_method, distil, late_product, method_class, modality_dropout, unimodal_ensemble
from ramer.methods.shared.contract import Method, MethodOptions
from ramer.modalities import CONDITIONS
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.softmax import log_of, softmax
from ramer.training.workspace import ModelShape

# Imported so that a change of a member is a change of every blend; their classes come from the registry.
MEMBERS = tuple(
    module.__name__.rpartition(".")[2] for module in (distil, late_product, modality_dropout, unimodal_ensemble)
)


def _known(member: str) -> str:
    if member not in MEMBERS:
        raise ValueError(f"expected one of {', '.join(MEMBERS)}")
    return member


Member = Annotated[str, AfterValidator(_known)]


class BlendOptions(MethodOptions):
    """Which methods are blended.

    Attributes:
        members: types, each with its default options; one may come twice.
        steps: of a weight's grid from 0 to 1.
    """

    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=4, strict=False)] = ("late_product", "distil")
    steps: Count = 10

    @property
    def extra_inputs(self) -> frozenset[str]:
        kinds = [method_class(name) for name in self.members]
        return frozenset().union(*(k.inputs_of(k.Options(type=n)) for n, k in zip(self.members, kinds, strict=True)))


class Blend(Method[BlendOptions]):
    """Sum of the members' weighted log probabilities; the weights sum to one.

    Args:
        chosen: options of members that are not to have their defaults, by type.

    Attributes:
        members: in the order of the weights.
    """

    def __init__(
        self,
        options: BlendOptions,
        shape: ModelShape,
        training: Training,
        device: str = "cpu",
        chosen: Mapping[str, MethodOptions] = MappingProxyType({}),
    ) -> None:
        super().__init__(options, shape, training, device)
        self.members: tuple[Method, ...] = tuple(
            build_method(chosen.get(name, method_class(name).Options(type=name)), shape, training, device)
            for name in options.members
        )
        self.weights_ = np.full(len(self.members), 1.0 / len(self.members))

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        fits = []
        for member in self.members:
            history = History()
            fits.append(member.fit(train, val, rng, history))
            log.lines = max(log.lines, history.lines, key=len)
        return Fitted(max(fitted.best_epoch for fitted in fits), self._weigh(val))

    def _weigh(self, val: LabelledRows) -> float:
        """Choose the weights on validation rows; returns the best score."""
        logs = {c: self._logs(val.under(c)) for c in CONDITIONS}
        best = -np.inf
        for weights in _simplex(len(self.members), self.options.steps):
            score = selection({c: np.tensordot(weights, logs[c], 1) for c in CONDITIONS}.__getitem__, val, self.prior_)
            if score > best:
                best, self.weights_ = score, weights
        return best

    def _logs(self, batch: Batch) -> Float[np.ndarray, "members n classes"]:
        return log_of(np.stack([member.predict_proba(batch) for member in self.members]))

    def posterior(self, batch: Batch) -> np.ndarray:
        return softmax(np.tensordot(self.weights_, self._logs(batch), 1))

    def tensors(self) -> dict[str, np.ndarray]:
        learnt = {"weights_": self.weights_}
        for i, member in enumerate(self.members):
            learnt |= {f"member{i}.{name}": value for name, value in member.state().items()}
        return learnt

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.weights_ = tensors["weights_"]
        for i, member in enumerate(self.members):
            prefix = f"member{i}."
            member.take_state({n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)})
        return self


def fitted_blend(
    method: Method, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History
) -> Blend:
    """A blend with default options as the teacher of another method, on the rows that the method learns from."""
    blend = Blend(BlendOptions(type="blend"), method.shape, method.training, method.device)
    blend.fit(train, val, rng, log)
    return blend


def _simplex(members: int, steps: int) -> Iterator[np.ndarray]:
    """All weights in multiples of 1 / steps that sum to one; the evenest first, so that ties are not extreme."""
    grid = [np.array(w) / steps for w in product(range(steps + 1), repeat=members) if sum(w) == steps]
    yield from sorted(grid, key=lambda w: float((w**2).sum()))
