"""MMIN and IF-MMIN: what their losses are for, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ramer.methods.shared.imagining import ImaginingMethod
from ramer.methods.shared.masked_network import MaskedTraining
from ramer.nn.imagination import Student, Teacher, teacher_embeddings
from ramer.nn.losses import central_moment_discrepancy, masked_mse
from ramer.training.fitted import Fitted, History
from ramer.training.workspace import Workspace
from tests.support.peers import build, data_for, fit, rows_of, training, training_rows

KINDS = ("mmin", "if_mmin")


def masked_training_of(kind: str, workspace: Workspace, **options: Any) -> tuple[ImaginingMethod, MaskedTraining]:
    method, data = build(kind, workspace, **options), data_for(kind, workspace)
    assert isinstance(method, ImaginingMethod)
    train = training_rows(kind, data)
    method.prior_ = train.prior
    return method, MaskedTraining(method, train, rows_of(kind, data, "val"), np.random.default_rng(0))


@pytest.mark.parametrize("kind", KINDS)
def test_the_checkpoint_is_the_student_alone(kind: str, workspace: Workspace) -> None:
    method, data = build(kind, workspace, training(epochs=2)), data_for(kind, workspace)
    assert isinstance(method, ImaginingMethod)
    fit(method, data)
    student = Student(method.size, method.invariant)
    assert {n.removeprefix("network_.") for n in method.tensors()} == set(student.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_few_rows_get_steps_enough_and_many_the_budget_of_all(kind: str, workspace: Workspace) -> None:
    budget = training(epochs=60, patience=12, batch_size=128)
    method = build(kind, workspace, budget, least_steps=400)
    assert isinstance(method, ImaginingMethod)
    few = method.budget(100)
    assert (few.epochs, few.patience) == (67, 14)  # of six steps each
    assert (method.budget(300).epochs, method.budget(300).patience) == (67, 14)
    assert method.budget(897) == budget
    assert method.budget(50_000) == budget


@pytest.mark.parametrize("kind", KINDS)
def test_activations_and_dropout_are_the_published_ones(kind: str, workspace: Workspace) -> None:
    method, masked_training = masked_training_of(kind, workspace, teacher_dropout=0.3, least_steps=1)
    teacher, student = method.train_teacher(masked_training), method.new_network()

    def names(module: nn.Module) -> list[str]:
        return [type(part).__name__ for part in module.modules() if not list(part.children())]

    for encoder, decoder in zip(student.cascade.encoders, student.cascade.decoders, strict=True):
        assert names(encoder) == ["Linear", "LeakyReLU", "Linear"]
        assert names(decoder) == ["Linear", "ReLU", "Linear"]
    if student.invariant is not None:
        assert names(student.invariant) == ["Linear", "LeakyReLU", "Linear", "LeakyReLU"]
    drops = {part.p for part in teacher.modules() if isinstance(part, nn.Dropout)}
    assert drops == {0.3}
    assert {part.p for part in student.modules() if isinstance(part, nn.Dropout)} == {method.training.dropout}


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def student_loss(
    method: ImaginingMethod, masked_training: MaskedTraining, teacher: Teacher, monkeypatch: pytest.MonkeyPatch
) -> tuple[Student, nn.Module | None, Loss]:
    """What ``train_student`` would minimise, with its networks in eval mode: no dropout."""
    taken: list[tuple[nn.Module, Loss]] = []

    def run(network: nn.Module, loss: Loss, *_: object) -> Fitted:
        taken.append((network.eval(), loss))
        return Fitted(0, 0.0)

    monkeypatch.setattr(masked_training, "run", run)
    student = method.new_network().eval()
    student.start_from(teacher)
    method.train_student(masked_training, teacher, student, History())
    ((network, loss),) = taken
    return student, network[1] if isinstance(network, nn.ModuleList) else None, loss


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("mmin", {"imagination_weight": 3.0, "cycle_weight": 5.0}),
        ("if_mmin", {"imagination_weight": 3.0, "invariant_weight": 7.0}),
    ],
)
def test_the_students_loss_is_the_weighted_sum(
    kind: str, weights: dict[str, float], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, masked_training = masked_training_of(kind, workspace, **weights)
    teacher = Teacher(method.size, method.invariant).requires_grad_(False).eval()
    student, cycle, loss = student_loss(method, masked_training, teacher, monkeypatch)
    positions, keep = torch.tensor([0, 3]), torch.tensor([[True, False, False], [False, True, True]])
    complete = masked_training.complete.take(positions)
    known = complete.available
    with torch.no_grad():
        imagined = student(complete.under(keep))
        log_proba = imagined.scores.log_softmax(dim=1)
        expected = -sum(log_proba[i, masked_training.labels[p]] for i, p in enumerate(positions)) / 2
        # The teacher sees what the student does not.
        target = teacher(complete.under(~keep)).embeddings
        expected += 3.0 * ((imagined.imagined - target) ** 2)[known].mean()
        if cycle is not None:
            back = cycle(imagined.imagined.flatten(1)).output.view_as(target)
            expected += 5.0 * ((back - imagined.embeddings) ** 2)[known].mean()
        else:
            expected += 7.0 * ((imagined.invariant - teacher(complete).invariant) ** 2)[known].mean()
        torch.testing.assert_close(loss(positions, keep), expected)


def imagination_error(student: Student, teacher: Teacher, masked_training: MaskedTraining) -> float:
    """Of the missing modalities of complete rows of which only audio is shown."""
    keep = torch.tensor([[True, False, False]]).expand_as(masked_training.complete.available)
    target = teacher_embeddings(teacher, masked_training.complete, keep)
    missing = masked_training.complete.available & ~keep
    with torch.no_grad():
        imagined = student(masked_training.complete.under(keep)).imagined
    return masked_mse(imagined, target, missing).item()


@pytest.mark.parametrize("kind", KINDS)
def test_the_student_learns_to_imagine(kind: str, workspace: Workspace) -> None:
    errors = {}
    for weight in (0.0, 4.0):
        method, masked_training = masked_training_of(kind, workspace, imagination_weight=weight)
        teacher = method.train_teacher(masked_training)
        student = method.new_network()
        student.start_from(teacher)
        method.network_ = student
        method.train_student(masked_training, teacher, student, History())
        errors[weight] = imagination_error(student.eval(), teacher, masked_training)
    assert errors[4.0] < 0.7 * errors[0.0]


def test_the_discrepancy_brings_invariant_features_together(workspace: Workspace) -> None:
    distances = {}
    for weight in (0.0, 1.0):
        method, masked_training = masked_training_of("if_mmin", workspace, discrepancy_weight=weight)
        teacher = method.train_teacher(masked_training)
        taught = teacher(masked_training.complete)
        assert taught.invariant is not None
        audio, text = (taught.invariant[masked_training.complete.available[:, i], i] for i in (0, 2))
        spread = audio.std() + text.std()
        distances[weight] = (central_moment_discrepancy(audio / spread, text / spread)).item()
    assert distances[1.0] < 0.7 * distances[0.0]


def test_the_teacher_reads_complete_rows_only(workspace: Workspace) -> None:
    """Changing the labels of incomplete rows leaves the teacher as it was."""
    teachers = []
    for spoil in (False, True):
        method, masked_training = masked_training_of("mmin", workspace)
        incomplete = ~masked_training.complete.available.all(dim=1)
        assert incomplete.any()
        if spoil:
            masked_training.labels = torch.where(
                incomplete, (masked_training.labels + 1) % method.shape.classes, masked_training.labels
            )
        teachers.append(method.train_teacher(masked_training).state_dict())
    for name, value in teachers[0].items():
        torch.testing.assert_close(teachers[1][name], value, rtol=0, atol=0)
