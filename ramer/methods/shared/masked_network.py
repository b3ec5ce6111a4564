"""What methods share that train one network on masked raw features (or states)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ramer.config import Training
from ramer.inputs import FEATURES, STATES
from ramer.methods.shared.contract import Method, OptionsT
from ramer.methods.shared.imputing import normalised
from ramer.methods.shared.weights import take_weights, weights_of
from ramer.modalities import CONDITIONS, FULL_CONDITION, MODALITIES, condition_masks, condition_probabilities
from ramer.nn.masked import Masked
from ramer.seeding import seed_torch
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.loop import fit_epochs

Choice = TypeVar("Choice")
_PREFIX = "network_."


def masked_inputs(batch: Batch, source: str = FEATURES, device: str = "cpu") -> Masked:
    """A batch as tensors, zero where unavailable.

    Args:
        source: ``features``, or ``states`` for hidden states of unit length.
    """
    values = {}
    for i, m in enumerate(MODALITIES):
        held = batch.available[:, i, None]
        if source == STATES:
            own = normalised(np.where(held, batch.states[m], np.float32(0)))
        else:
            own = np.where(held, batch.features[m], np.float32(0))
        values[m] = torch.from_numpy(own).to(device)
    return Masked(values, torch.from_numpy(batch.available).to(device))


def stacked(parts: Sequence[Masked]) -> Masked:
    """The rows of all parts, one part after the other."""
    values = {m: torch.cat([part.values[m] for part in parts]) for m in MODALITIES}
    return Masked(values, torch.cat([part.available for part in parts]))


class NeuralMethod(Method[OptionsT]):
    """A network from masked inputs to scores, in ``network_``."""

    inputs = frozenset({FEATURES})
    network_: nn.Module

    @abstractmethod
    def new_network(self) -> nn.Module:
        """The untrained network, as the options describe it."""

    def budget(self, rows: int) -> Training:
        """How long a network trains on so many rows: as ``train`` says, for a method that has no reason of its own."""
        return self.training

    def scores(self, network: nn.Module, inputs: Masked) -> Tensor:
        """Class scores [n, classes] of the network; what else it returns is for training."""
        scores: Tensor = network(inputs)
        return scores

    def masked(self, batch: Batch) -> Masked:
        """The batch as the network's input."""
        return masked_inputs(batch, device=self.device)

    def posterior(self, batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            proba: np.ndarray = self.scores(self.network_, self.masked(batch)).double().softmax(dim=1).cpu().numpy()
        return proba

    def tensors(self) -> dict[str, np.ndarray]:
        return weights_of(self.network_, _PREFIX)

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.network_ = take_weights(self.new_network(), tensors, _PREFIX)
        return self


class MaskedTraining:
    """One replicate's rows as tensors, and the training of one network on them.

    Attributes:
        complete: the training rows with everything that they hold.
        labels: int64 [n].
        masks: bool [7, 3], availability under each condition.
    """

    def __init__(self, method: NeuralMethod, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator) -> None:
        self.method = method
        self.complete = method.masked(train.complete)
        self.labels = torch.from_numpy(train.labels).to(method.device)
        self.masks = torch.from_numpy(condition_masks()).to(method.device)
        self._held_out = stacked([method.masked(val.under(c)) for c in CONDITIONS])
        self._train, self._val, self._rng = train, val, rng

    def seed(self, name: str) -> None:
        """Seed what is initialised next."""
        seed_torch(int(self._rng.integers(2**31)), name)

    def run(
        self,
        module: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        scores: Callable[[Masked], Tensor],
        log: History,
        full_only: bool = False,
        generators: Sequence[torch.Generator] = (),
    ) -> Fitted:
        """Train a module.

        Args:
            module: all that trains.
            loss: (row positions [b], availability masks [b, 3]) to a scalar.
            scores: what validation scores, [n, classes].
            full_only: select by the full rows alone, as befits a full-modality teacher.
            generators: that the loss draws from.
        """

        def validate() -> float:
            parts = scores(self._held_out).view(len(CONDITIONS), len(self._val), -1).cpu().numpy()
            by_condition = dict(zip(CONDITIONS, parts, strict=True))
            return selection(lambda c: by_condition[FULL_CONDITION if full_only else c], self._val, self.method.prior_)

        def masked_loss(positions: Tensor, drawn: Tensor) -> Tensor:
            return loss(positions, self.masks[drawn])

        budget = self._train, self.method.budget(len(self._train)), self._rng
        return fit_epochs(module, masked_loss, validate, *budget, log, generators=generators)

    def draw_masks(self, available: Tensor, generator: torch.Generator) -> Tensor:
        """A drawn condition for each row as a mask, bool [n, 3]; the full one where a draw would leave nothing.

        Args:
            available: what the rows hold, bool [n, 3].
        """
        rates = self._train.missing_rates
        if rates is None:
            drawn = torch.randint(len(CONDITIONS), (len(available),), generator=generator)
        else:
            chances = torch.from_numpy(condition_probabilities(rates.values))
            drawn = torch.multinomial(chances, len(available), replacement=True, generator=generator)
        keep = self.masks[drawn]
        nothing = ~(available & keep).any(dim=1)
        return keep | nothing[:, None]

    def cross_entropy(self, network: nn.Module, positions: Tensor, keep: Tensor) -> Tensor:
        """Of the method's scores of masked rows."""
        scores = self.method.scores(network, self.complete.take(positions).under(keep))
        return nn.functional.cross_entropy(scores, self.labels[positions])


def train_experts(masked_training: MaskedTraining, experts: nn.Module, unimodal: Callable[[Masked], Tensor]) -> None:
    """Train each modality's expert on the rows that hold it; the epoch is that of the experts' best mean posterior.

    Args:
        experts: all that trains.
        unimodal: scores of each modality by its own expert, [n, 3, classes].
    """

    def loss(positions: Tensor, _: Tensor) -> Tensor:
        complete = masked_training.complete.take(positions)
        labels = masked_training.labels[positions, None].expand(-1, len(MODALITIES))
        errors = nn.functional.cross_entropy(unimodal(complete).transpose(1, 2), labels, reduction="none")
        return torch.where(complete.available, errors, 0.0).sum() / len(positions)

    def mean_of_experts(inputs: Masked) -> Tensor:
        proba = unimodal(inputs).softmax(dim=2)
        return (proba * inputs.available[:, :, None]).sum(dim=1)

    masked_training.run(experts, loss, mean_of_experts, History())


def choose(
    choices: Iterable[Choice], fit: Callable[[Choice, History], tuple[Fitted, nn.Module]], log: History
) -> tuple[Choice, Fitted, nn.Module]:
    """Fit every choice and keep the one that is best on validation; only its history is logged."""
    best: tuple[Choice, Fitted, nn.Module, History] | None = None
    for choice in choices:
        history = History()
        fitted, network = fit(choice, history)
        if best is None or fitted.val_selection > best[1].val_selection:
            best = (choice, fitted, network, history)
    if best is None:
        raise ValueError("choices: expected at least one, got none")
    log.lines.extend(best[3].lines)
    return best[:3]
