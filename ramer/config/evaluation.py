"""How predictions are scored and compared: ``evaluate`` and ``report``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ramer.config.section import Rate, Section, Whole
from ramer.config.training import MissingRates

_SCARCE = {
    "audio_scarce": MissingRates(audio=0.9, video=0.1, text=0.1),
    "video_scarce": MissingRates(audio=0.1, video=0.9, text=0.1),
    "text_scarce": MissingRates(audio=0.1, video=0.1, text=0.9),
}


class Evaluate(Section):
    """How predictions are scored.

    Attributes:
        missing_rates: of modalities missing at random, for a curve and its area.
        imbalanced_rates: by a name.
        pool_sizes: pool rows in the database of a method with keys of its own, beside all of them, for a curve.
    """

    ece_bins: Annotated[int, Field(ge=2)] = 15
    missing_rates: Annotated[tuple[Rate, ...], Field(strict=False)] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    imbalanced_rates: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], MissingRates] = _SCARCE
    pool_sizes: Annotated[tuple[Whole, ...], Field(strict=False)] = (0, 100, 200, 400)

    @model_validator(mode="after")
    def _check(self) -> Evaluate:
        if len(set(self.missing_rates)) != len(self.missing_rates):
            raise ValueError("missing_rates must differ from each other")
        if len(set(self.pool_sizes)) != len(self.pool_sizes):
            raise ValueError("pool_sizes must differ from each other")
        return self


class Report(Section):
    """How methods are compared.

    Attributes:
        coverage: how often the sets of classes that the report measures should hold the true one.
        reference: the method that others are compared with, or best_baseline (chosen on validation).
    """

    reference: str = "best_baseline"
    draws: Annotated[int, Field(ge=100)] = 2000
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9
    seed: Whole = 0
