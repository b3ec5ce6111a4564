"""Primitive memory distillation, after PriMD, on utterance vectors.

Zhang et al., "Modality Disentangled Learning for Incomplete Multimodal Emotion Recognition: A Primitive Memory
Distillation Perspective" (arXiv 2608.30563). A teacher that sees every modality splits each into a part that the
modalities share (aligned by mean squared error, kept independent of the rest by HSIC) and a specific one, whose
prototypes are remembered. The student starts from the teacher; what its available modalities share queries the memory
of each missing one, and a choice among the means of the 1 to ``most`` best prototypes stands in for the specific part.
It learns from labels, the teacher's soft scores (temperature 4) and the cost of what it retrieves.
Departures: one utterance at a time (the paper reads dialogues), one model for all conditions (its scripts train one
for each), each stage with the budget of ``train``, and the prototypes are the k-means centres of the trained teacher's
specific parts, where the paper learns them with it by vector quantisation: with few rows those collapse into one.
Control: ``memory: shuffled`` deals every coordinate of the prototypes anew among them, so that what is handed out has
the right values in no right combination; ``memory: empty`` hands out zeros. Queries, keys and costs stay.
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from sklearn.cluster import KMeans
from torch import Tensor, nn

from ramer.config import Among, Count, Positive, Searched
from ramer.methods.shared.contract import MethodOptions
from ramer.methods.shared.masked_network import MaskedTraining, NeuralMethod
from ramer.modalities import MODALITIES
from ramer.nn.losses import masked_mse, soft_cross_entropy
from ramer.nn.masked import Masked
from ramer.nn.prototypes import Parts, PartsNetwork, PrototypeMemory, dependence
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch

Weight = Annotated[float, Field(ge=0.0)]


class PrimdOptions(MethodOptions):
    """Options of ``primd``.

    Attributes:
        width: of shared and specific parts.
        capacity, most: prototypes per modality; retrieved at most.
        size: of the space in which queries meet prototypes.
        temperature: of the choice of how many are retrieved.
        alignment_weight, independence_weight: of the teacher's losses beside cross-entropy.
        distillation_temperature: that softens the teacher's scores.
        memory: real, or a control: shuffled or empty.
    """

    width: Annotated[Count, Among((32, 64, 128))] = 64
    capacity: Annotated[Count, Searched(16, 256, log=True)] = 64
    most: Annotated[Count, Searched(1, 16, log=True)] = 16
    size: Count = 64
    temperature: Annotated[Positive, Searched(0.1, 5.0, log=True)] = 0.5
    alignment_weight: Annotated[Weight, Searched(0.01, 10.0, log=True)] = 0.1
    independence_weight: Annotated[Weight, Searched(0.001, 1.0, log=True)] = 0.01
    distillation_temperature: Positive = 4.0
    memory: Literal["real", "shuffled", "empty"] = "real"

    @property
    def spoilt(self) -> str:
        return "" if self.memory == "real" else f"its memory is {self.memory}"


class Primd(NeuralMethod[PrimdOptions]):
    """A student that takes prototypes of a teacher's for what it lacks."""

    def _parts(self, memory: PrototypeMemory | None) -> PartsNetwork:
        shape, width = self.shape, self.options.width
        network = PartsNetwork(shape.feature_dims, shape.classes, width, self.training.dropout, memory)
        return network.to(self.device)

    def new_network(self) -> PartsNetwork:
        options = self.options
        return self._parts(
            PrototypeMemory(options.width, options.capacity, options.most, options.size, options.temperature)
        )

    def scores(self, network: nn.Module, inputs: Masked) -> Tensor:
        parts: Parts = network(inputs)
        return parts.scores

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        masked_training = MaskedTraining(self, train, val, rng)
        teacher = self._train_teacher(masked_training)
        masked_training.seed("student")
        self.network_ = student = self.new_network()
        student.load_state_dict(student.state_dict() | teacher.state_dict())
        assert student.memory is not None
        self._remember(
            student.memory, teacher, masked_training.complete, np.random.default_rng(int(rng.integers(2**31)))
        )
        heat = self.options.distillation_temperature

        def loss(positions: Tensor, keep: Tensor) -> Tensor:
            complete = masked_training.complete.take(positions)
            said: Parts = student(complete.under(keep))
            with torch.no_grad():
                soft = (teacher(complete).scores / heat).softmax(dim=1)
            return (
                nn.functional.cross_entropy(said.scores, masked_training.labels[positions])
                + heat**2 * soft_cross_entropy(said.scores / heat, soft)
                + said.cost.mean()
            )

        return masked_training.run(student, loss, lambda inputs: student(inputs).scores, log)

    def _train_teacher(self, masked_training: MaskedTraining) -> PartsNetwork:
        """Trained on rows with everything that they hold, chosen by its full rows."""
        masked_training.seed("teacher")
        teacher = self._parts(None)

        def loss(positions: Tensor, _: Tensor) -> Tensor:
            complete, labels = masked_training.complete.take(positions), masked_training.labels[positions]
            said: Parts = teacher(complete)
            own = nn.functional.cross_entropy(
                said.unimodal.transpose(1, 2), labels[:, None].expand(-1, len(MODALITIES)), reduction="none"
            )
            own = torch.where(complete.available, own, 0.0).sum() / complete.available.sum().clamp(min=1)
            return nn.functional.cross_entropy(said.scores, labels) + own + self._separation(said, complete.available)

        masked_training.run(teacher, loss, lambda inputs: teacher(inputs).scores, History(), full_only=True)
        return teacher.requires_grad_(False)

    def _separation(self, said: Parts, held: Tensor) -> Tensor:
        """Shared parts alike across modalities, and each independent of the specific part of its modality."""
        alike = [
            masked_mse(said.shared[:, [i]], said.shared[:, [j]], (held[:, i] & held[:, j])[:, None])
            for i, j in combinations(range(len(MODALITIES)), 2)
        ]
        apart = [dependence(said.shared[rows, i], said.specific[rows, i]) for i, rows in enumerate(held.T)]
        return (
            self.options.alignment_weight * torch.stack(alike).mean()
            + self.options.independence_weight * torch.stack(apart).mean()
        )

    def _remember(
        self, memory: PrototypeMemory, teacher: PartsNetwork, complete: Masked, rng: np.random.Generator
    ) -> None:
        """Fill the memory with the centres of the teacher's specific parts; its contents as ``memory`` says."""
        with torch.no_grad():
            specific = teacher(complete).specific.cpu().numpy()
        held, capacity = complete.available.cpu().numpy(), self.options.capacity
        starts = rng.integers(2**31, size=len(MODALITIES))  # before a control draws anything
        for i in range(len(MODALITIES)):
            rows = specific[held[:, i], i]
            if not len(rows):
                continue
            known = np.unique(rows, axis=0)
            centres = KMeans(min(capacity, len(known)), n_init=1, random_state=int(starts[i])).fit(rows)
            prototypes = np.resize(centres.cluster_centers_, (capacity, rows.shape[1])).astype(np.float32)
            memory.keys[i] = torch.from_numpy(prototypes)
            if self.options.memory == "shuffled":
                prototypes = rng.permuted(prototypes, axis=0)
            if self.options.memory != "empty":
                memory.contents[i] = torch.from_numpy(prototypes)
