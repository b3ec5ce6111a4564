"""The one contract of a missing-modality method.

A method is one file in this package, named for its ``type``; ``fit`` sees training rows, ``posterior``
sees what a mask left. Rows with nothing available never reach a method: they get the training prior.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import nn

from ramer.config import Section, Training
from ramer.errors import ModelError
from ramer.files import write_tensors
from ramer.inputs import SHUFFLED
from ramer.modalities import CONDITIONS
from ramer.retrieval.candidates import check_k
from ramer.training.batches import Batch, LabelledRows, TrainingBatch
from ramer.training.loop import Fitted, History
from ramer.training.temperature import fit_temperatures, pattern_codes, scale
from ramer.training.workspace import ModelShape

Network = TypeVar("Network", bound=nn.Module)


class MethodOptions(Section):
    """Options of a method; ``type`` chooses the method."""

    type: str


class RetrievalOptions(MethodOptions):
    """k: neighbours used per missing modality.

    database: ``shuffled`` hands out another row's states and labels for each row found, a control
    (``ramer.retrieval.shuffle``).
    """

    k: int = Field(default=5, ge=1)
    database: Literal["real", "shuffled"] = "real"

    def check_k(self, name: str, width: int, findable_rows: int = sys.maxsize) -> None:
        """Refuse a k that lists of this width, or databases with so few rows to find, cannot serve.

        Raises:
            RetrievalError: naming ``methods.<name>.k``.
        """
        check_k(self.k, bool(getattr(self, "drop_first", False)), findable_rows, width, name)


class Method(ABC):
    """One missing-modality model of one replicate.

    Class attributes:
        Options: pydantic model of the entry under ``methods``.
        inputs: which of features, states, posteriors, neighbours the method reads; those of an instance are what
            ``reads`` says of its options.
        retrieval: whether the method retrieves (it cannot be the reference baseline then).
        deployable: False for a method that uses what is not there at prediction.
        needs_complete: whether ``Batch.complete`` is attached (``oracle`` alone).
    """

    Options: ClassVar[type[MethodOptions]] = MethodOptions
    inputs: frozenset[str] = frozenset()
    retrieval: ClassVar[bool] = False
    deployable: ClassVar[bool] = True
    needs_complete: ClassVar[bool] = False

    def __init__(self, options: MethodOptions, shape: ModelShape, training: Training, device: str = "cpu") -> None:
        self.options: Any = options
        self.shape = shape
        self.training = training
        self.device = device
        self.inputs = self.reads(options)
        self.description_: dict[str, Any] = {}  # saved beside the options; what else ``restore`` must know
        self.prior_ = np.full(shape.classes, 1.0 / max(shape.classes, 1))
        self.temperatures_ = np.ones(8)

    @classmethod
    def reads(cls, options: MethodOptions) -> frozenset[str]:
        """``inputs`` of a method with these options."""
        shuffled = isinstance(options, RetrievalOptions) and options.database == "shuffled"
        return cls.inputs | {SHUFFLED} if shuffled else cls.inputs

    def fit(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        """Learn from the training rows; selection reads validation rows only.

        Returns:
            The chosen epoch (0 for a closed form) and its selection score on validation.
        """
        self.prior_ = train.prior
        fitted = self.learn(train, val, rng, log)
        self._calibrate(val)
        return fitted

    def _calibrate(self, val: LabelledRows) -> None:
        self.temperatures_ = np.ones(8)
        proba, labels, codes = [], [], []
        for condition in CONDITIONS:
            batch = val.under(condition)
            some = batch.available.any(axis=1)
            proba.append(self.predict_proba(batch)[some])
            labels.append(val.labels[some])
            codes.append(pattern_codes(batch.available[some]))
        self.temperatures_ = fit_temperatures(*(np.concatenate(parts) for parts in (proba, labels, codes)))

    def predict_proba(self, batch: Batch) -> np.ndarray:
        """Calibrated class probabilities, float64 [n, classes].

        A row with nothing available gets the training prior. Temperatures are those of validation rows.
        """
        proba = np.tile(self.prior_.astype(np.float64), (len(batch), 1))
        some = np.asarray(batch.available.any(axis=1))
        if some.any():
            held = batch if some.all() else batch.take(some)
            proba[some] = scale(self.posterior(held), self.temperatures_[pattern_codes(held.available)])
        return proba

    @abstractmethod
    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        """What ``fit`` does beyond the prior."""

    @abstractmethod
    def posterior(self, batch: Batch) -> np.ndarray:
        """Class probabilities [n, classes] of rows that each hold at least one modality."""

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        """What a retrieving method retrieved for rows with these labels; empty for the others."""
        return {}

    @abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """All that was learnt, as arrays."""

    @abstractmethod
    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        """Take back what ``tensors`` gave; returns self."""

    def save(self, path: str | Path) -> None:
        """Write the model as safetensors with its options and shape as metadata."""
        metadata: dict[str, Any] = {
            "options": self.options.model_dump(mode="json"),
            "shape": asdict(self.shape),
            "training": self.training.model_dump(mode="json"),
        }
        if self.description_:
            metadata["description"] = self.description_
        write_tensors(path, {**self.tensors(), "prior_": self.prior_, "temperatures_": self.temperatures_}, metadata)


def weights_of(module: nn.Module, prefix: str) -> dict[str, np.ndarray]:
    """A module's weights as arrays, their names behind a prefix."""
    return {prefix + n: v.detach().cpu().numpy() for n, v in module.state_dict().items()}


def take_weights(module: Network, tensors: dict[str, np.ndarray], prefix: str) -> Network:
    """The module with what ``weights_of`` gave, in eval mode."""
    state = {n.removeprefix(prefix): torch.from_numpy(v) for n, v in tensors.items() if n.startswith(prefix)}
    module.load_state_dict(state)
    return module.eval()


def check_tensors(tensors: dict[str, np.ndarray], *names: str) -> None:
    """Refuse a checkpoint that lacks a tensor."""
    lacking = [n for n in names if n not in tensors]
    if lacking:
        raise ModelError(f"checkpoint lacks {', '.join(lacking)}; it holds {', '.join(sorted(tensors))}")
