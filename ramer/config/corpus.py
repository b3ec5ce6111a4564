"""Which clips there are and how they are cut: ``corpus`` and ``prepare``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ramer.config.section import (
    Count,
    PerModalityFloat,
    PerModalityInt,
    PerModalityPath,
    Positive,
    Section,
    Share,
    Whole,
)


class Synthetic(Section):
    """Knobs of the generated corpus; see ``ramer.data.synthetic`` for the model they belong to.

    Attributes:
        seed: of everything drawn.
        classes: emotions, the first so many of six.
        speakers: of the labelled rows.
        rows: labelled rows.
        pool_rows: unlabelled rows.
        dims: length of a feature vector.
        shared_dim: axes of the clip's own latent that all modalities see.
        mixing_dim: width of the non-linear map from latents to features.
        mixing_gain: how non-linear it is (near 0: linear).
        label_strength: distance of the classes in units of a clip's own deviation, the knob of difficulty.
        shared_strength: how loud the shared latent is.
        speaker_strength: how loud the speaker is.
        noise: of every feature, relative to the signal.
        missing_rate: share of vectors that are naturally missing.
        imbalance: class prior from 0, uniform, to 1, MER-like.
        held_out_share: share of the speakers in val and again in test.
    """

    seed: Whole = 0
    classes: Annotated[int, Field(ge=2, le=6)] = 6
    speakers: Annotated[int, Field(ge=3)] = 24
    rows: Count = 1200
    pool_rows: Whole = 4000
    dims: PerModalityInt = PerModalityInt(audio=128, video=96, text=256)
    shared_dim: Count = 12
    mixing_dim: Count = 64
    mixing_gain: Positive = 1.0
    label_strength: PerModalityFloat = PerModalityFloat(audio=1.6, video=1.7, text=1.6)
    shared_strength: PerModalityFloat = PerModalityFloat(audio=1.0, video=1.0, text=1.0)
    speaker_strength: PerModalityFloat = PerModalityFloat(audio=0.5, video=0.5, text=0.1)
    noise: PerModalityFloat = PerModalityFloat(audio=0.5, video=0.5, text=0.5)
    missing_rate: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.03
    imbalance: Share = 1.0
    held_out_share: Annotated[float, Field(gt=0.0, le=0.4)] = 0.2


class Merbench(Section):
    """A MERBench corpus: label file and feature folders, relative to ``corpus.path``.

    Attributes:
        label_file: the benchmark's ``.npz``, or a CSV with clip, label and, if wanted, speaker and split.
        dataset: whose labels and clip names they are; other: a corpus of your own in this layout, any labels, no
            groups.
    """

    label_file: str = "label.npz"
    features: PerModalityPath = PerModalityPath()
    dataset: Literal["mer", "iemocap4", "iemocap6", "meld", "mosi", "mosei", "sims", "simsv2", "other"] = "mer"
    task: Literal["emotion", "sentiment", "sentiment_nonzero"] = "emotion"


class Corpus(Section):
    """Where the clips come from.

    Attributes:
        kind: the name of a reader in ``ramer.data.kinds``.
        path: what it reads, and what ``prepare`` depends on.
    """

    kind: str = "synthetic"
    path: str = "ramer/data/synthetic.py"
    synthetic: Synthetic = Synthetic()
    merbench: Merbench = Merbench()


class Prepare(Section):
    """How the corpus is cut into replicates.

    Attributes:
        folds: 1 keeps the corpus' own split.
        seeds: one replicate per fold and seed.
    """

    folds: Count = 1
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1, strict=False)] = (0, 1, 2)
    label_budget: Count | None = None

    @model_validator(mode="after")
    def _check(self) -> Prepare:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ from each other")
        if self.folds == 2:
            raise ValueError("folds must be 1 (the corpus' own split) or at least 3 (test, validation and train)")
        return self
