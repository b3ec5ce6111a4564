"""How features are made: frozen settings, kept in the manifest so that a new clip is treated as the corpus was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ramer.config import Count, Section, Share
from ramer.errors import ConfigError
from ramer.modalities import MODALITIES

SAMPLE_RATE = 16_000  # hertz; what openSMILE's sets and every speech model here expect

CENTERFACE = "centerface"  # face detectors
HAAR = "haar"

Dtype = Literal["float32", "float16", "bfloat16"]
Seconds = Annotated[float, Field(gt=0.0)]


class Model(Section):
    """What encodes a modality.

    Attributes:
        extractor: a built-in one, or huggingface.
        model: hub name or local folder.
        revision: commit, tag or branch.
        dtype: precision of the model.
    """

    extractor: str
    model: str | None = None
    revision: str | None = None
    dtype: Dtype = "float32"

    @model_validator(mode="after")
    def _check(self) -> Model:
        if (self.extractor == "huggingface") != (self.model is not None):
            raise ValueError("model is given with the extractor huggingface, and only with it")
        return self

    @property
    def name(self) -> str:
        """What the feature folder is called: the extractor, or the last part of the model's name."""
        last = self.model.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1] if self.model else self.extractor
        return re.sub(r"[^\w.-]", "_", last).lstrip(".") or "model"

    @property
    def deciding(self) -> dict[str, Any]:
        """The options that decide what this extractor makes: features are made again only when one of these changes."""
        return self.model_dump(mode="json", exclude=self._idle())

    def _idle(self) -> set[str]:
        """Options that do nothing with this extractor."""
        return set()


class AudioSettings(Model):
    """How sound is made vectors.

    Attributes:
        layers: last ones averaged.
        chunk_seconds: longest input of a model.
        silence_dbfs: a clip whose loudest 50 ms stay below is silent.
    """

    extractor: Literal["egemaps", "huggingface"] = "egemaps"
    layers: Count = 4
    chunk_seconds: Seconds = 30.0
    silence_dbfs: Annotated[float, Field(lt=0.0)] = -60.0

    def _idle(self) -> set[str]:
        return {"layers", "chunk_seconds", "dtype"} if self.extractor == "egemaps" else set()


class VideoSettings(Model):
    """How pictures are made vectors.

    Attributes:
        frames_per_second: sampled.
        crop: face, or the whole frame; ready where pictures are faces that were cut out before, all of which are taken.
        detector: of faces: centerface, haar, or the path of a YuNet model (ONNX).
        detections_per_second: how often faces are sought; between two that agree, the face is taken to move evenly.
            None seeks them on every sampled frame.
        face: which one of several is taken.
        margin: share of the face's side that is added on each side.
        min_face_share: of the sampled frames must show a face, else the detections are taken for errors.
    """

    extractor: Literal["face_hog_lbp", "huggingface"] = "face_hog_lbp"
    frames_per_second: Annotated[float, Field(gt=0.0)] = 5.0
    crop: Literal["face", "frame", "ready"] = "face"
    detector: str = CENTERFACE
    detections_per_second: Annotated[float, Field(gt=0.0)] | None = 2.5
    face: Literal["largest", "central"] = "largest"
    margin: Annotated[float, Field(ge=0.0, le=2.0)] = 0.2
    min_face_share: Share = 0.1

    def _idle(self) -> set[str]:
        idle = {"dtype"} if self.extractor == "face_hog_lbp" else set()
        if self.crop != "face":
            idle |= {"detector", "detections_per_second", "face", "margin"}
        return idle | {"face": set(), "frame": {"min_face_share"}, "ready": {"frames_per_second"}}[self.crop]


class TextSettings(Model):
    """How transcripts are made vectors.

    Attributes:
        layers: last ones averaged.
        max_tokens: a longer transcript is cut, and noted.
    """

    extractor: Literal["minilm", "huggingface"] = "minilm"
    layers: Count = 4
    max_tokens: Count = 512


class RecognitionSettings(Section):
    """A Whisper model that writes the transcript where none is given.

    Attributes:
        model: hub name or local folder.
        revision: commit, tag or branch.
        language: None lets the model decide.
        dtype: precision of the model.
    """

    model: str
    revision: str | None = None
    language: str | None = None
    dtype: Dtype = "float32"


class ExtractionSettings(Section):
    """How a corpus' features are made.

    Attributes:
        audio: None where this modality is not extracted, as for the other two.
        video: likewise.
        text: likewise.
        recognition: None where nothing is recognised.
        per_frame: also keep the sequences (``-FRA``).
    """

    audio: AudioSettings | None = AudioSettings()
    video: VideoSettings | None = VideoSettings()
    text: TextSettings | None = TextSettings()
    recognition: RecognitionSettings | None = None
    per_frame: bool = False

    @model_validator(mode="after")
    def _check(self) -> ExtractionSettings:
        names = [self.of(m).name for m in self.modalities]
        if len(set(names)) != len(names):
            raise ValueError(
                f"two modalities would share a feature folder ({', '.join(names)}); rename a model's folder"
            )
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that are extracted, in the order of ``MODALITIES``."""
        return tuple(m for m in MODALITIES if self._sections[m] is not None)

    def of(self, modality: str) -> Model:
        """The section of a modality that is extracted."""
        section = self._sections[modality]
        if section is None:
            raise ConfigError(f"extraction: {modality} is not extracted by these settings")
        return section

    @property
    def _sections(self) -> dict[str, Model | None]:
        return {"audio": self.audio, "video": self.video, "text": self.text}

    def pinned(self, revisions: Mapping[str, str]) -> ExtractionSettings:
        """Settings that name commits where a branch, or nothing, was named: what is written then leads to the same
        models."""
        sections = self._sections | {"recognition": self.recognition}
        return self.model_copy(
            update={
                name: section.model_copy(update={"revision": revisions[name]})
                for name, section in sections.items()
                if section is not None and name in revisions
            }
        )


# Pinned to commits: a repository that changes must not change features.
PRESETS: dict[str, ExtractionSettings] = {
    "light": ExtractionSettings(),
    "mer2024": ExtractionSettings(
        audio=AudioSettings(
            extractor="huggingface",
            model="TencentGameMate/chinese-hubert-large",
            revision="90cb660492214f687e60f5ca509b20edae6e75bd",
        ),
        video=VideoSettings(
            extractor="huggingface",
            model="openai/clip-vit-large-patch14",
            revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
        ),
        text=TextSettings(
            extractor="huggingface",
            model="baichuan-inc/Baichuan2-13B-Base",
            revision="e2a280b79a96607652eca9b5a78d0c4d3dd5286e",
        ),
    ),
}


def preset(name: str) -> ExtractionSettings:
    """A preset by name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset: unknown name {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
