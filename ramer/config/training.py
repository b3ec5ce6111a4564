"""The budget of the methods that train: ``train``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ramer.config.section import Count, Dropout, PerModality, Positive, Rate, Section


class MissingRates(PerModality[Rate]):
    """Probability of each modality to be missing; at least one modality is kept."""

    @property
    def values(self) -> tuple[float, float, float]:
        return (self.audio, self.video, self.text)


class Training(Section):
    """The budget that every neural missing-modality head shares.

    Attributes:
        missing_rates: of the modalities in the masks that training draws; null draws the seven conditions alike.
    """

    hidden: Annotated[tuple[Count, ...], Field(strict=False)] = (256, 128)
    dropout: Dropout = 0.5
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-2
    epochs: Count = 60
    patience: Count = 12
    batch_size: Count = 128
    missing_rates: MissingRates | None = None
