"""What every section of ``params.yaml`` is: frozen, strict, one value or one for each modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Searched:
    """Where ``ramer tune`` looks for a value, both ends included; stands beside the type of an option.

    Attributes:
        log: whether its order of magnitude is what matters.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Among:
    """The values that ``ramer tune`` tries; stands beside the type of an option."""

    values: tuple[str | int | bool, ...]


class Section(BaseModel):
    """A frozen section that refuses unknown keys, lax types, and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class PerModality(Section, Generic[ValueT]):
    """One value for each modality."""

    audio: ValueT
    video: ValueT
    text: ValueT

    def of(self, modality: str) -> ValueT:
        return {"audio": self.audio, "video": self.video, "text": self.text}[modality]


class PerModalityPath(PerModality[str | None]):
    """A path per modality, relative to the corpus' root; null where the corpus has none."""

    audio: str | None = None
    video: str | None = None
    text: str | None = None


PerModalityInt = PerModality[Count]
PerModalityFloat = PerModality[float]
