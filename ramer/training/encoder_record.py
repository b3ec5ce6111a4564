"""``encoder.json``, and what must be known to rebuild an encoder; no torch is needed to read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from ramer.config import Encoder, Section
from ramer.records import Record

ENCODER_FILE = "encoder.json"


class EncoderDescription(Section):
    """What must be known to rebuild an encoder: the metadata of its checkpoint, also part of ``encoder.json``.

    Attributes:
        modality: that it encodes.
        kind: ``transformer`` (``ramer.nn.encoder``) or ``residual`` (``ramer.nn.residual``).
        input_dim: length of a raw vector.
        label_names: classes of its own classifier.
        hidden_dim, model_dim, layers, heads, ff_dim, dropout, input_dropout, classifier_dims: as in
            ``ramer.nn.encoder.UnimodalEncoder``; a residual encoder has no classifier_dims.
    """

    modality: str
    kind: Literal["residual", "transformer"] = "transformer"  # the one that there was before there were kinds
    input_dim: int
    label_names: tuple[str, ...]
    hidden_dim: int
    model_dim: int | None
    layers: int
    heads: int
    ff_dim: int
    dropout: float
    input_dropout: float
    classifier_dims: tuple[int, ...]

    @classmethod
    def of(cls, modality: str, input_dim: int, options: Encoder, label_names: Sequence[str]) -> EncoderDescription:
        """The description of an encoder with these options."""
        own = options.model_dump(include=cls.model_fields.keys() & Encoder.model_fields.keys())
        return cls(modality=modality, input_dim=input_dim, label_names=tuple(label_names), **own)


class RegressionScores(Section):
    """What the logistic regression on the same vectors scores on validation rows.

    Attributes:
        inverse_penalty: scikit-learn's C, as chosen.
        val_log_loss, val_weighted_f1: on validation rows.
    """

    inverse_penalty: float
    val_log_loss: float
    val_weighted_f1: float


class EncoderReplicate(Section):
    """One replicate's encoder.

    Attributes:
        epoch: that was kept; 0 of a residual encoder is the regression itself.
        val_weighted_f1: on validation rows, there.
        val_log_loss: there; None in a file from before it was written.
        regression: what it is held against; None in a file from before it was fitted.
        digest: of the checkpoint.
    """

    epoch: int
    val_weighted_f1: float
    val_log_loss: float | None = None
    regression: RegressionScores | None = None
    digest: str


class EncoderRecord(Record, EncoderDescription):
    """``encoder.json``: a modality's encoders of all replicates.

    Attributes:
        absent: whether the corpus lacks the modality; there are no encoders then.
        replicates: by name.
        parameters: of one encoder, how many numbers it learns.
    """

    later: ClassVar[frozenset[str]] = frozenset({"format", "kind"})

    absent: bool
    replicates: dict[str, EncoderReplicate]
    parameters: int
