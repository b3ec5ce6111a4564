"""The one contract of a missing-modality method.

A method is one file in ``ramer.methods``, named for its ``type``; ``fit`` sees training rows, ``posterior`` sees what a
mask left. Rows with nothing available never reach a method: they get the training prior. Who serves, explains,
evaluates or exports a method asks what is here, and never what class it is.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, get_args

import numpy as np
from typing_extensions import TypeVar

from ramer import engine
from ramer.array_files import write_tensors
from ramer.config import Count, Searched, Section, Training
from ramer.errors import RetrievalError
from ramer.inputs import NEIGHBOURS, OWN_KEYS, SHUFFLED
from ramer.methods.shared.stacked_method import StackedMethod
from ramer.retrieval.structures import Database, Selected
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.temperature import PATTERNS, calibrated, pattern_codes, scale
from ramer.training.workspace import ModelShape


class MethodOptions(Section):
    """Options of a method.

    Attributes:
        type: the method.
    """

    type: str

    @property
    def extra_inputs(self) -> frozenset[str]:
        """What these options make a method read beside what it always reads."""
        return frozenset()

    @property
    def unsearched(self) -> frozenset[str]:
        """Options that these make meaningless, and that a search leaves as they are."""
        return frozenset()

    @property
    def is_control(self) -> bool:
        """Whether these options spoil what the method remembers, to show what is owed to it."""
        return bool(self.spoilt)

    @property
    def spoilt(self) -> str:
        """What these options spoil, in words; empty where they spoil nothing."""
        return "its database is shuffled" if SHUFFLED in self.extra_inputs else ""

    def check_k(self, name: str, width: int, findable_rows: int = sys.maxsize) -> None:
        """Options without a k ask nothing of lists; see ``RetrievalOptions.check_k``."""


class RetrievalOptions(MethodOptions):
    """Options of a method that reads neighbours.

    Attributes:
        k: neighbours used per missing modality.
        database: ``shuffled`` hands out another row's states and labels for each row found, a control
            (``ramer.retrieval.shuffle``).
    """

    k: Annotated[Count, Searched(1, 40, log=True)] = 5
    database: Literal["real", "shuffled"] = "real"

    @property
    def extra_inputs(self) -> frozenset[str]:
        return frozenset({SHUFFLED} if self.database == "shuffled" else ())

    @property
    def passed_over(self) -> int:
        """Neighbours at the head of a list that are fetched and not used."""
        return 0

    def check_k(self, name: str, width: int, findable_rows: int = sys.maxsize) -> None:
        """Refuse a k that lists of this width, or databases with so few rows to find, cannot serve.

        Args:
            name: the entry under ``methods``.
            findable_rows: that a training row may find, at the least.

        Raises:
            RetrievalError: naming ``methods.<name>.k``.
        """
        wanted = self.k + self.passed_over
        extra = " (one more is fetched and dropped: drop_first)" if self.passed_over else ""
        key = f"params.yaml: methods.{name}.k: {self.k}"
        faults = []
        if wanted > width:
            faults.append(f"{key} needs retrieval.width of at least {wanted}{extra}, got {width}")
        if wanted > findable_rows:
            faults.append(
                f"{key} needs a database of at least {wanted} rows{extra} beside a training row's own speaker, "
                f"got {findable_rows}; with retrieval.exclude: self they count too"
            )
        if faults:
            raise RetrievalError(faults)


OptionsT = TypeVar("OptionsT", bound=MethodOptions, default=MethodOptions, covariant=True)


class Method(ABC, Generic[OptionsT]):
    """One missing-modality model of one replicate.

    ``class Mine(Method[MineOptions])`` has options of its own, ``class Mine(Method)`` none but its ``type``.

    Attributes:
        Options: pydantic model of the entry under ``methods``, taken from the type parameter.
        inputs: which of features, states, posteriors, neighbours every such method reads; ``inputs_of`` says all.
        retrieval: whether the method retrieves (it cannot be the reference baseline then).
        lends: whether retrieved rows stand in for what a row lacks; ``neighbours_of`` then names them.
        deployable: False for a method that uses what is not there at prediction; ``deployable_with`` says all.
        needs_complete: whether ``Batch.complete`` is attached (``oracle`` alone).
        uses_device: False for a method that computes with NumPy alone: no GPU is looked for, and torch does not load.
        description_: what else ``restore`` must know, saved beside the options.
        prior_, temperatures_: class frequencies of the training rows, float64 [classes]; of the calibration, [8].
    """

    Options: ClassVar[type[MethodOptions]] = MethodOptions
    inputs: ClassVar[frozenset[str]] = frozenset()
    retrieval: ClassVar[bool] = False
    lends: ClassVar[bool] = False
    deployable: ClassVar[bool] = True
    needs_complete: ClassVar[bool] = False
    uses_device: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            for given in get_args(base):
                if isinstance(given, type) and issubclass(given, MethodOptions):
                    cls.Options = given

    def __init__(self, options: OptionsT, shape: ModelShape, training: Training, device: str = "cpu") -> None:
        self.options = options
        self.shape = shape
        self.training = training
        self.device = device
        self.description_: dict[str, Any] = {}
        self.prior_ = np.full(shape.classes, 1.0 / max(shape.classes, 1))
        self.temperatures_ = np.ones(PATTERNS)

    @classmethod
    def inputs_of(cls, options: MethodOptions) -> frozenset[str]:
        """All that a method with these options reads: what ``ramer.inputs`` names."""
        return cls.inputs | options.extra_inputs

    @property
    def reads(self) -> frozenset[str]:
        """``inputs_of`` this method's options."""
        return self.inputs_of(self.options)

    @classmethod
    def deployable_with(cls, options: MethodOptions) -> bool:
        """Whether a method with these options may be deployed: not one that uses what is missing, and no control."""
        return cls.deployable and not options.is_control

    @classmethod
    def device_for(cls, device: str) -> str:
        """Where such a method computes: ``engine.device_for``, or the processor where it uses no other.

        Args:
            device: ``runtime.device``.

        Raises:
            ConfigError: a GPU was asked for and there is none, or it does not work.
        """
        return engine.device_for(device) if cls.uses_device else "cpu"

    def fit(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        """Learn from the training rows; returns the chosen epoch (0 for a closed form) and its score on validation.

        Selection reads validation rows only.
        """
        self.prior_ = train.prior
        fitted = self.learn(train, val, rng, log)
        self.temperatures_ = np.ones(PATTERNS)
        self.temperatures_ = calibrated(self.predict_proba, val)
        return fitted

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

    def neighbours_of(self, batch: Batch) -> Selected | None:
        """The database rows that stand in for what each row lacks; None of a method in which nothing does."""
        return None

    def reads_lists(self, available: np.ndarray) -> np.ndarray:
        """Which of n rows' neighbour lists are read, bool [n]: nobody need search those of the others.

        Args:
            available: what the rows hold, bool [n, 3].
        """
        return np.full(len(available), NEIGHBOURS in self.reads)

    @classmethod
    def stack(
        cls, methods: Sequence[Self], databases: Sequence[Database], states: Mapping[str, np.ndarray]
    ) -> StackedMethod | None:
        """All replicates at once for a few clips, where the method has a way that is much faster; else None.

        Args:
            methods: fitted, one per replicate.
            databases: one per replicate, over the same rows.
            states: of all databases, [replicates, rows, hidden] per modality, may be memory-mapped.
        """
        return None

    @property
    def reads_database(self) -> bool:
        """Whether a prediction of this fitted method may depend on the rows of its database."""
        return bool(self.reads & {NEIGHBOURS, OWN_KEYS})

    def prepare(self, database: Database) -> None:
        """Do once what else the first batch with this database would wait for; nothing by default."""

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        """What a retrieving method retrieved for rows with these labels; empty for the others."""
        return {}

    @abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """All that was learnt, as arrays."""

    @abstractmethod
    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        """Take back what ``tensors`` gave; returns self."""

    def state(self) -> dict[str, np.ndarray]:
        """``tensors`` and what ``fit`` learns for every method: all that a checkpoint holds."""
        return {**self.tensors(), "prior_": self.prior_, "temperatures_": self.temperatures_}

    def take_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Take back what ``state`` gave; returns self."""
        learnt = dict(state)
        self.prior_, self.temperatures_ = learnt.pop("prior_"), learnt.pop("temperatures_")
        return self.restore(learnt)

    def save(self, path: str | Path) -> None:
        """Write the model as safetensors with its options and shape as metadata."""
        metadata: dict[str, Any] = {
            "options": self.options.model_dump(mode="json"),
            "shape": asdict(self.shape),
            "training": self.training.model_dump(mode="json"),
        }
        if self.description_:
            metadata["description"] = self.description_
        write_tensors(path, self.state(), metadata)
