"""Teachers and students of the missing modality imagination networks, MMIN and IF-MMIN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.cascade import ResidualCascade
from ramer.nn.embedding import ModalityEmbedders
from ramer.nn.fusion import FusionClassifier
from ramer.nn.masked import Masked


@dataclass(frozen=True)
class ImaginationSize:
    """Widths that a teacher and its student share.

    Attributes:
        dims: length of the input vectors per modality, 0 where the corpus lacks it.
        classes: number of classes.
        embedding: length of a modality's embedding.
        layers: of a block of the cascade, its bottleneck last.
        blocks: of the cascade.
        classifier: hidden widths of the classifiers.
        dropout: of embedders and classifiers.
    """

    dims: Mapping[str, int]
    classes: int
    embedding: int
    layers: Sequence[int]
    blocks: int
    classifier: Sequence[int]
    dropout: float

    @property
    def concatenated(self) -> int:
        """Length of the three embeddings side by side."""
        return self.embedding * len(MODALITIES)


class Taught(NamedTuple):
    """What the teacher says.

    Attributes:
        scores: [n, classes].
        embeddings: [n, 3, width].
        invariant: the same shape, or None without such an encoder.
    """

    scores: Tensor
    embeddings: Tensor
    invariant: Tensor | None


class Imagined(NamedTuple):
    """What a student makes of masked rows.

    Attributes:
        scores: [n, classes].
        embeddings: of the masked input, [n, 3, width].
        imagined: of what is missing, [n, 3, width].
        invariant: predicted from the masked input, [n, 3, width], or None without such an encoder.
    """

    scores: Tensor
    embeddings: Tensor
    imagined: Tensor
    invariant: Tensor | None


class Teacher(nn.Module):
    """Full-modality network: embeddings, with ``invariant`` also invariant features, concatenated and classified.

    Args:
        size: widths.
        invariant: add one encoder that the modalities share (IF-MMIN).
    """

    def __init__(self, size: ImaginationSize, invariant: bool) -> None:
        super().__init__()
        self.embedders = ModalityEmbedders(size.dims, size.embedding, size.dropout)
        self.invariant = invariant_encoder(size.embedding) if invariant else None
        width = size.concatenated * (2 if invariant else 1)
        self.classifier = FusionClassifier(width, size.classifier, size.classes, size.dropout)

    def forward(self, inputs: Masked) -> Taught:
        embeddings = self.embedders(inputs)
        invariant = None if self.invariant is None else self.invariant(embeddings)
        seen = embeddings if invariant is None else torch.cat([embeddings, invariant], dim=1)
        return Taught(self.classifier(seen.flatten(1)), embeddings, invariant)


class Student(nn.Module):
    """Embeddings of the masked input through the cascade; its bottlenecks are classified.

    Starts from the teacher's embedders and, where it has one, its invariant encoder.
    """

    def __init__(self, size: ImaginationSize, invariant: bool) -> None:
        super().__init__()
        self.embedders = ModalityEmbedders(size.dims, size.embedding, size.dropout)
        self.invariant = invariant_encoder(size.embedding) if invariant else None
        self.cascade = ResidualCascade(size.concatenated, size.layers, size.blocks)
        bottlenecks = size.layers[-1] * size.blocks
        self.classifier = FusionClassifier(bottlenecks, size.classifier, size.classes, size.dropout)

    def start_from(self, teacher: Teacher) -> None:
        """Copy the parts that the teacher has too."""
        self.embedders.load_state_dict(teacher.embedders.state_dict())
        if self.invariant is not None and teacher.invariant is not None:
            self.invariant.load_state_dict(teacher.invariant.state_dict())

    def forward(self, inputs: Masked) -> Imagined:
        embeddings = self.embedders(inputs)
        invariant = None if self.invariant is None else self.invariant(embeddings)
        guide = None if invariant is None else invariant.flatten(1)
        output, latents = self.cascade(embeddings.flatten(1), guide)
        return Imagined(self.classifier(latents), embeddings, output.view_as(embeddings), invariant)


def invariant_encoder(width: int) -> nn.Sequential:
    """The two layers that all modalities' embeddings share in IF-MMIN, each with LeakyReLU."""
    return nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(), nn.Linear(width, width), nn.LeakyReLU())


def teacher_embeddings(teacher: Teacher, complete: Masked, keep: Tensor) -> Float[Tensor, "n 3 width"]:
    """The forward imagination target: the teacher's embeddings of rows fed with the complement of the mask.

    Where ``keep`` (bool [n, 3]) is set the teacher sees zeros, elsewhere what the row holds.
    """
    with torch.no_grad():
        embeddings: Tensor = teacher.embedders(complete.complement(keep))
    return embeddings
