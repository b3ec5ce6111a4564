"""``manifest.json`` as it lies beside features: which model made them, what is missing and why."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NotRequired, Self

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from ramer.config import Section
from ramer.extraction.settings import HAAR, ExtractionSettings
from ramer.records import Record

STATUSES = ("extracted", "missing", "failed")

ModelRecord = dict[str, Any]  # what is said of a model: name, revision or digest, version


class Entry(TypedDict):
    """What became of one modality of a clip.

    Attributes:
        source: file below the media folder, or ``transcript``; None where there is nothing to make it from.
        sha256: of what it was made from.
        reason: why it is missing.
        notes: what a reader should know of it.
        faces: how well a face is seen.
        recognised: the words that were heard.
    """

    status: Literal["extracted", "missing", "failed"]
    source: str | None
    sha256: str | None
    reason: NotRequired[str]
    notes: NotRequired[list[str]]
    faces: NotRequired[dict[str, int | float | None]]
    recognised: NotRequired[str | None]


class MadeFeatures(Section):
    """How a modality's features were made.

    Attributes:
        folder, frames_folder: of the vectors, and of the sequences where they are kept.
        dim: length of a vector, None where none was made.
        extractor: the model.
        fingerprint: of settings and model.
        counts: of clips by status.
    """

    model_config = ConfigDict(extra="ignore")

    folder: str
    frames_folder: str | None = None
    dim: int | None
    extractor: ModelRecord
    fingerprint: str = ""
    counts: dict[str, int] = Field(default_factory=dict)


class ManifestRecord(Record):
    """``manifest.json``.

    Attributes:
        ramer: the version that wrote it.
        settings: how features are made.
        modalities: those that were made.
        recognition: the model that wrote transcripts, None where none did.
        clips: clip -> modality -> entry.
    """

    model_config = ConfigDict(extra="ignore")
    later: ClassVar[frozenset[str]] = frozenset({"ramer"})

    ramer: str = ""
    settings: ExtractionSettings
    modalities: dict[str, MadeFeatures]
    recognition: ModelRecord | None
    clips: dict[str, dict[str, Entry]]

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> Self:
        """A record from JSON; settings of an older version knew one face detector, searched every frame, and named
        neither.

        Raises:
            ValidationError: a key is missing or has no value that it may have.
        """
        settings = raw.get("settings") or {}
        video = settings.get("video")
        before = {"detector": HAAR, "detections_per_second": None}
        whole = raw if video is None else raw | {"settings": settings | {"video": before | video}}
        return cls.model_validate(whole, strict=False)
