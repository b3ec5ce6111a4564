"""What encodes a modality: ``pretrain`` and ``dump``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ramer.config.section import Count, Dropout, PerModality, Positive, Rate, Section, Whole

INVERSE_PENALTIES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


class Encoder(Section):
    """One modality's encoder and its pretraining.

    Attributes:
        kind: residual stands on a frozen logistic regression and learns what that leaves; transformer is the paper's,
            with a classifier of its own.
        model_dim: width of the transformer; null keeps the input's.
        hidden_dim: length of the state; with residual what the frozen part says is in it.
        input_dropout: share of the input's features dropped in training, for wide inputs with few labels.
        classifier_dims: of transformer alone, hidden layers of its classifier.
        inverse_penalties: scikit-learn's C of the regression, one of them chosen on validation.
        mixup: of residual alone, both parameters of the Beta distribution that shares are drawn from; 0: off.
        label_smoothing: of residual alone, share of every label that is spread over all classes.
        averaging: of residual alone, decay per step of the average of weights that is scored and kept; 0: off.
    """

    kind: Literal["residual", "transformer"] = "residual"
    model_dim: Count | None = 64
    hidden_dim: Count = 128
    layers: Count = 2
    heads: Count = 4
    ff_dim: Count = 128
    dropout: Dropout = 0.3
    input_dropout: Dropout = 0.3
    classifier_dims: Annotated[tuple[Count, ...], Field(strict=False)] = (128,)
    inverse_penalties: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)] = INVERSE_PENALTIES
    mixup: Annotated[float, Field(ge=0.0)] = 0.4
    label_smoothing: Rate = 0.1
    averaging: Rate = 0.98
    lr: Positive = 3e-4
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-2
    epochs: Count = 60
    patience: Count = 10
    batch_size: Count = 64

    @model_validator(mode="after")
    def _check(self) -> Encoder:
        if self.model_dim is not None and self.model_dim % self.heads:
            raise ValueError(f"model_dim {self.model_dim} must be a multiple of heads {self.heads}")
        if self.kind == "residual" and self.hidden_dim < 2:
            raise ValueError(f"hidden_dim {self.hidden_dim} must be at least 2 with kind residual")
        return self


class Pretrain(PerModality[Encoder]):
    audio: Encoder = Encoder()
    video: Encoder = Encoder()
    text: Encoder = Encoder()


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
