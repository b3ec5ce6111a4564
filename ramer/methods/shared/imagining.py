"""What MMIN and IF-MMIN share: a full-modality teacher, and a student that imagines its embeddings."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import TypeVar

from ramer.config import Count, Dropout, Training
from ramer.methods.shared.contract import MethodOptions
from ramer.methods.shared.masked_network import MaskedTraining, NeuralMethod
from ramer.nn.imagination import ImaginationSize, Imagined, Student, Taught, Teacher
from ramer.nn.masked import Masked
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.loop import rows_per_step

Weight = Annotated[float, Field(ge=0.0)]
Widths = Annotated[tuple[Count, ...], Field(min_length=1, strict=False)]


class ImaginingOptions(MethodOptions):
    """Options that ``mmin`` and ``if_mmin`` share.

    Attributes:
        embedding: length per modality.
        layers, blocks: of the cascade, bottleneck last.
        classifier: hidden widths.
        teacher_dropout: of embedders and classifier of the teacher; the student's is that of ``train``.
        least_steps: of the optimizer that teacher and student may take each, whatever ``train.epochs`` says: with few
            rows an epoch is one step, and 60 do not train a cascade. Epochs and patience grow alike.
    """

    embedding: Count = 128
    layers: Widths = (256, 128, 64)
    blocks: Count = 5
    classifier: Widths = (128, 128)
    teacher_dropout: Dropout = 0.3
    least_steps: Count = 400


ImaginingT = TypeVar("ImaginingT", bound=ImaginingOptions, default=ImaginingOptions, covariant=True)


class ImaginingMethod(NeuralMethod[ImaginingT]):
    """Teacher first, then the student; only the student is saved.

    Attributes:
        invariant: whether teacher and student have an encoder that the modalities share.
    """

    invariant: ClassVar[bool] = False

    def budget(self, rows: int) -> Training:
        training = self.training
        epochs = math.ceil(self.options.least_steps / math.ceil(rows / rows_per_step(rows, training)))
        if epochs <= training.epochs:
            return training
        patience = math.ceil(training.patience * epochs / training.epochs)
        return training.model_copy(update={"epochs": epochs, "patience": patience})

    @property
    def size(self) -> ImaginationSize:
        """Widths of teacher and student, dropout of the student."""
        options = self.options
        return ImaginationSize(
            self.shape.feature_dims,
            self.shape.classes,
            options.embedding,
            options.layers,
            options.blocks,
            options.classifier,
            self.training.dropout,
        )

    def new_network(self) -> Student:
        return Student(self.size, self.invariant).to(self.device)

    def scores(self, network: nn.Module, inputs: Masked) -> Tensor:
        imagined: Imagined = network(inputs)
        return imagined.scores

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        masked_training = MaskedTraining(self, train, val, rng)
        teacher = self.train_teacher(masked_training)
        masked_training.seed("student")
        self.network_ = student = self.new_network()
        student.start_from(teacher)
        return self.train_student(masked_training, teacher, student, log)

    def train_teacher(self, masked_training: MaskedTraining) -> Teacher:
        """The full-modality network, trained on the rows that hold every modality of the corpus (all, if none does)."""
        masked_training.seed("teacher")
        size = replace(self.size, dropout=self.options.teacher_dropout)
        teacher = Teacher(size, self.invariant).to(self.device)
        held = masked_training.complete.available
        whole = held[:, held.any(dim=0)].all(dim=1)
        if not whole.any():
            whole = torch.ones_like(whole)

        def loss(positions: Tensor, _: Tensor) -> Tensor:
            positions = positions[whole.cpu()[positions]]
            complete = masked_training.complete.take(positions)
            taught: Taught = teacher(complete)
            errors = nn.functional.cross_entropy(taught.scores, masked_training.labels[positions], reduction="sum")
            return errors / max(len(positions), 1) + self.teacher_loss(taught, complete)

        masked_training.run(teacher, loss, lambda inputs: teacher(inputs).scores, History(), full_only=True)
        return teacher.requires_grad_(False)

    def teacher_loss(self, taught: Taught, complete: Masked) -> Tensor:
        """What the teacher minimises beside cross-entropy: nothing by default."""
        return taught.scores.new_zeros(())

    @abstractmethod
    def train_student(
        self, masked_training: MaskedTraining, teacher: Teacher, student: Student, log: History
    ) -> Fitted:
        """Train the student on masked rows."""
