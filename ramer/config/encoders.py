"""What encodes a modality: ``pretrain`` and ``dump``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ramer.config.section import Count, Dropout, Positive, Section, Whole


class Encoder(Section):
    """One modality's encoder and its pretraining.

    Attributes:
        model_dim: width of the transformer; null keeps the input's.
        input_dropout: share of the input's features dropped in training, for wide inputs with few labels.
    """

    model_dim: Count | None = 64
    hidden_dim: Count = 128
    layers: Count = 2
    heads: Count = 4
    ff_dim: Count = 128
    dropout: Dropout = 0.3
    input_dropout: Dropout = 0.0
    classifier_dims: Annotated[tuple[Count, ...], Field(strict=False)] = (128,)
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-2
    epochs: Count = 60
    patience: Count = 10
    batch_size: Count = 64

    @model_validator(mode="after")
    def _check(self) -> Encoder:
        if self.model_dim is not None and self.model_dim % self.heads:
            raise ValueError(f"model_dim {self.model_dim} must be a multiple of heads {self.heads}")
        return self


class Pretrain(Section):
    audio: Encoder = Encoder()
    video: Encoder = Encoder()
    text: Encoder = Encoder(input_dropout=0.5)

    def of(self, modality: str) -> Encoder:
        return {"audio": self.audio, "video": self.video, "text": self.text}[modality]


class Dump(Section):
    """How hidden states are written.

    Attributes:
        batch_size: rows encoded at a time (memory, not results).
        crossfit: encoders per modality that each leave out a fold of speakers and encode it, 0 for none.
    """

    batch_size: Count = 1024
    crossfit: Whole = 0

    @model_validator(mode="after")
    def _check(self) -> Dump:
        if self.crossfit == 1:
            raise ValueError("crossfit must be 0 (off) or at least 2 folds")
        return self
