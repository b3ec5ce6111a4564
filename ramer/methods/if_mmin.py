"""Imagination guided by modality-invariant features, IF-MMIN (Zuo et al., ICASSP 2023), on utterance vectors.

The teacher has one encoder that all modalities share and whose outputs' distributions must agree (central moment
discrepancy); its classifier sees specific and invariant features. The student predicts the invariant features from
the masked input and adds them to every block of its imagination cascade.
As published: LeakyReLU after both layers of the shared encoder, and the block rule, which the published code follows
too since September 2024. Departures: as for ``mmin`` (the paper: 20 + 20 epochs).
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated

import torch
from torch import Tensor, nn

from ramer.config import Count, Searched
from ramer.methods.shared.imagining import ImaginingMethod, ImaginingOptions, Weight
from ramer.methods.shared.masked_network import MaskedTraining
from ramer.modalities import MODALITIES
from ramer.nn.imagination import Imagined, Student, Taught, Teacher, teacher_embeddings
from ramer.nn.losses import central_moment_discrepancy, masked_mse
from ramer.nn.masked import Masked
from ramer.training.fitted import Fitted, History


class IfMminOptions(ImaginingOptions):
    """Options of ``if_mmin``.

    Attributes:
        imagination_weight, invariant_weight, discrepancy_weight: of the losses beside cross-entropy.
        moments: that the invariant features of two modalities should share.
    """

    imagination_weight: Annotated[Weight, Searched(0.1, 100.0, log=True)] = 1.0
    invariant_weight: Annotated[Weight, Searched(1.0, 1000.0, log=True)] = 100.0
    discrepancy_weight: Annotated[Weight, Searched(0.1, 100.0, log=True)] = 1.0
    moments: Count = 5


class IfMmin(ImaginingMethod[IfMminOptions]):
    """Cascaded autoencoders guided by predicted invariant features."""

    invariant = True

    def teacher_loss(self, taught: Taught, complete: Masked) -> Tensor:
        assert taught.invariant is not None
        of = [taught.invariant[complete.available[:, i], i] for i in range(len(MODALITIES))]
        distances = [central_moment_discrepancy(x, y, self.options.moments) for x, y in combinations(of, 2)]
        return self.options.discrepancy_weight * torch.stack(distances).mean()

    def train_student(
        self, masked_training: MaskedTraining, teacher: Teacher, student: Student, log: History
    ) -> Fitted:
        def loss(positions: Tensor, keep: Tensor) -> Tensor:
            complete = masked_training.complete.take(positions)
            imagined: Imagined = student(complete.under(keep))
            target = teacher_embeddings(teacher, complete, keep)
            with torch.no_grad():
                taught: Taught = teacher(complete)
            assert imagined.invariant is not None
            assert taught.invariant is not None
            known = complete.available
            return (
                nn.functional.cross_entropy(imagined.scores, masked_training.labels[positions])
                + self.options.imagination_weight * masked_mse(imagined.imagined, target, known)
                + self.options.invariant_weight * masked_mse(imagined.invariant, taught.invariant, known)
            )

        return masked_training.run(student, loss, lambda inputs: student(inputs).scores, log)
