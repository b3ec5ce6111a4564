"""Teacher and student: who is fed what, and what the student starts from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ramer.nn.embedding import ModalityEmbedders
from ramer.nn.imagination import ImaginationSize, Student, Teacher, teacher_embeddings
from ramer.nn.masked import Masked

DIMS = {"audio": 2, "video": 2, "text": 1}
SIZE = ImaginationSize(DIMS, classes=3, embedding=2, layers=(4, 2), blocks=2, classifier=(5,), dropout=0.5)


def doubling(teacher: Teacher) -> None:
    """Make every embedder compute [2 * sum of its input + 1] twice, so that targets can be worked out by hand."""
    for name, network in teacher.embedders.networks.items():
        linear = [layer for layer in network.children() if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            linear[0].weight.zero_()
            linear[0].weight[0] = 1.0
            linear[0].bias.zero_()
            linear[1].weight.copy_(torch.tensor([[2.0, 0.0], [2.0, 0.0]]))
            linear[1].bias.fill_(1.0)
        assert linear[0].in_features == DIMS[name]


def test_the_teacher_is_fed_the_complement_of_the_mask() -> None:
    teacher = Teacher(SIZE, invariant=False).eval()
    doubling(teacher)
    values = {
        "audio": torch.tensor([[1.0, 2.0], [1.0, 2.0]]),
        "video": torch.tensor([[3.0, 4.0], [0.0, 0.0]]),
        "text": torch.tensor([[5.0], [6.0]]),
    }
    # Row 1 naturally lacks video.
    rows = Masked(values, torch.tensor([[True, True, True], [True, False, True]]))
    keep = torch.tensor([[True, False, False], [False, True, True]])
    # Shown modalities: the teacher sees zeros there, hence 1. Hidden ones: 2 * sum + 1.
    wanted = torch.tensor([[1.0, 15.0, 11.0], [7.0, 1.0, 1.0]])[:, :, None].expand(-1, -1, 2)
    torch.testing.assert_close(teacher_embeddings(teacher, rows, keep), wanted)


def test_targets_carry_no_gradient() -> None:
    teacher = Teacher(SIZE, invariant=True)
    rows = Masked({m: torch.ones(1, d) for m, d in DIMS.items()}, torch.ones(1, 3, dtype=torch.bool))
    assert not teacher_embeddings(teacher, rows, torch.tensor([[True, False, True]])).requires_grad


@pytest.mark.parametrize("invariant", [False, True])
def test_the_student_starts_from_the_teachers_embedders_and_is_free_of_it(invariant: bool) -> None:
    torch.manual_seed(0)
    teacher, student = Teacher(SIZE, invariant).eval(), Student(SIZE, invariant).eval()
    student.start_from(teacher)
    rows = Masked({m: torch.randn(4, d) for m, d in DIMS.items()}, torch.ones(4, 3, dtype=torch.bool))
    imagined, taught = student(rows), teacher(rows)
    torch.testing.assert_close(imagined.embeddings, taught.embeddings)
    if invariant:
        torch.testing.assert_close(imagined.invariant, taught.invariant)
    else:
        assert imagined.invariant is None
        assert taught.invariant is None
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1.0)
    torch.testing.assert_close(teacher(rows).embeddings, taught.embeddings)


def test_every_modality_shares_one_invariant_encoder() -> None:
    teacher = Teacher(SIZE, invariant=True).eval()
    same = torch.randn(3, 1, 2).expand(-1, 3, -1)
    assert teacher.invariant is not None
    invariant: Tensor = teacher.invariant(same)
    torch.testing.assert_close(invariant[:, 0], invariant[:, 2])


def test_a_modality_that_the_corpus_lacks_embeds_to_zeros() -> None:
    embedders = ModalityEmbedders({"audio": 2, "video": 0, "text": 1}, width=4, dropout=0.0)
    values = {"audio": torch.ones(2, 2), "video": torch.zeros(2, 0), "text": torch.ones(2, 1)}
    embedded = embedders(Masked(values, torch.tensor([[True, False, True]]).expand(2, -1)))
    assert embedded.shape == (2, 3, 4)
    assert torch.count_nonzero(embedded[:, 1]) == 0
    assert set(embedders.networks) == {"audio", "text"}
