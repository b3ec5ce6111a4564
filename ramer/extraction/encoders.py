"""The encoders that settings name: described at once, loaded when first needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TypedDict, TypeVar

from ramer.errors import ConfigError, ModelError
from ramer.extraction import audio, recognition, text, video
from ramer.extraction.audio import AudioEncoder
from ramer.extraction.manifest_record import ModelRecord
from ramer.extraction.recognition import SpeechRecogniser
from ramer.extraction.settings import ExtractionSettings
from ramer.extraction.text import LanguageModelEncoder
from ramer.extraction.video import VideoEncoder

log = logging.getLogger(__name__)

SectionT = TypeVar("SectionT")


class RunOptions(TypedDict):
    """How encoders run; what the settings do not say.

    Attributes:
        batch_size: inputs per call of a model; changes speed and memory, not results.
        keep_frames: also keep a clip's sequence.
        trust_remote_code: run Python code that a model brings along.
    """

    device: str
    batch_size: int
    keep_frames: bool
    trust_remote_code: bool


class Encoders:
    """Encoders of the modalities that settings name.

    Attributes:
        records: per modality (and for ``recognition``) what makes its features.
        settings: with the commits of models where the settings named a branch, or nothing.

    Raises:
        ModelError: a model is not the one that is expected.
    """

    def __init__(self, settings: ExtractionSettings, options: RunOptions, expected: Mapping[str, ModelRecord]) -> None:
        self.options = options
        self.records = _describe(settings)
        for name, record in self.records.items():
            _check(name, record, expected.get(name, record))
        self.settings = settings.pinned({n: r["revision"] for n, r in self.records.items() if "revision" in r})

    @cached_property
    def audio(self) -> AudioEncoder:
        return audio.build(_asked("audio", self.settings.audio), **self.options)

    @cached_property
    def video(self) -> VideoEncoder:
        return video.build(_asked("video", self.settings.video), **self.options)

    @cached_property
    def text(self) -> LanguageModelEncoder:
        return text.build(_asked("text", self.settings.text), **self.options)

    @cached_property
    def recogniser(self) -> SpeechRecogniser:
        settings = _asked("recognition", self.settings.recognition)
        return SpeechRecogniser(settings, self.options["device"], self.options["trust_remote_code"])

    def load(self, names: Iterable[str]) -> None:
        """Load encoders now rather than when first needed: modalities, or ``recogniser``.

        Raises:
            ConfigError: an option does not fit a model.
            ModelError: a model cannot be loaded.
        """
        loaders: dict[str, Callable[[], object]] = {
            "audio": lambda: self.audio,
            "video": lambda: self.video,
            "text": lambda: self.text,
            "recogniser": lambda: self.recogniser,
        }
        for name in names:
            loaders[name]()


def _asked(name: str, section: SectionT | None) -> SectionT:
    if section is None:
        raise ConfigError(f"extraction: {name} is not extracted by these settings")
    return section


def _describe(settings: ExtractionSettings) -> dict[str, ModelRecord]:
    found: dict[str, ModelRecord] = {}
    if settings.audio is not None:
        found["audio"] = audio.describe(settings.audio)
    if settings.video is not None:
        found["video"] = video.describe(settings.video)
    if settings.text is not None:
        found["text"] = text.describe(settings.text)
        if settings.recognition is not None:
            found["recognition"] = recognition.describe(settings.recognition)
    return found


def _check(modality: str, record: ModelRecord, expected: ModelRecord) -> None:
    differing = sorted(k for k in expected.keys() | record.keys() if expected.get(k) != record.get(k))
    lines = [f"{k} {record.get(k)} here, {expected.get(k)} in the manifest" for k in differing]
    if differing == ["version"]:
        log.warning("%s: features were made with another version: %s", modality, lines[0])
    elif differing:
        raise ModelError([f"{modality}: not the model that made the features: {line}" for line in lines])
