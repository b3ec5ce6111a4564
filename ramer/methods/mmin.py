"""Missing modality imagination network (Zhao, Li and Jin, ACL 2021) on utterance vectors.

A teacher is trained on rows that hold every modality. The student starts from its embedders, passes the embeddings of
the masked input through a cascade of residual autoencoders whose bottlenecks are classified, and must imagine the
teacher's embeddings of what is missing (the teacher is fed with the complement of the mask), from which a second
cascade must get back to the masked embeddings.
As published: LeakyReLU in the cascades' encoders, ReLU in their decoders and the transition, teacher dropout .3.
Departures: embedders are small MLPs (the paper's read frame sequences); conditions are drawn from all seven; teacher
and student each have the budget of ``train``, but ``least_steps`` at least (the paper: Adam, 2e-4, batches of 128,
30 + 30 epochs, which train nothing on some hundred rows); initialisation is torch's (the code: Kaiming); one clipping
bounds the gradient of all that trains (the code: each network's); the epoch is chosen by the mean over all conditions.
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from ramer.config import Searched
from ramer.methods.shared.imagining import ImaginingMethod, ImaginingOptions, Weight
from ramer.methods.shared.masked_network import MaskedTraining
from ramer.nn.cascade import ResidualCascade
from ramer.nn.imagination import Imagined, Student, Teacher, teacher_embeddings
from ramer.nn.losses import masked_mse
from ramer.training.fitted import Fitted, History


class MminOptions(ImaginingOptions):
    """Options of ``mmin``.

    Attributes:
        imagination_weight, cycle_weight: of the two losses beside cross-entropy.
    """

    imagination_weight: Annotated[Weight, Searched(0.1, 100.0, log=True)] = 4.0
    cycle_weight: Annotated[Weight, Searched(0.1, 100.0, log=True)] = 2.0


class Mmin(ImaginingMethod[MminOptions]):
    """Cascaded residual autoencoders with imagination and cycle losses."""

    def train_student(
        self, masked_training: MaskedTraining, teacher: Teacher, student: Student, log: History
    ) -> Fitted:
        size = self.size
        cycle = ResidualCascade(size.concatenated, size.layers, size.blocks).to(self.device)

        def loss(positions: Tensor, keep: Tensor) -> Tensor:
            complete = masked_training.complete.take(positions)
            imagined: Imagined = student(complete.under(keep))
            target = teacher_embeddings(teacher, complete, keep)
            back = cycle(imagined.imagined.flatten(1)).output.view_as(imagined.embeddings)
            # A naturally missing modality has no target: it is neither imagined nor led back to.
            known = complete.available
            return (
                nn.functional.cross_entropy(imagined.scores, masked_training.labels[positions])
                + self.options.imagination_weight * masked_mse(imagined.imagined, target, known)
                + self.options.cycle_weight * masked_mse(back, imagined.embeddings.detach(), known)
            )

        return masked_training.run(nn.ModuleList([student, cycle]), loss, lambda inputs: student(inputs).scores, log)
