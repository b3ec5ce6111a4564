"""What the options of ``ramer extract`` say of how features are made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramer.extraction.settings import ExtractionSettings


def chosen_settings(preset_name: str, like: Path | None) -> ExtractionSettings:
    from ramer.extraction.requirements import check_packages
    from ramer.extraction.settings import preset

    check_packages("extract")
    if like is None:
        return preset(preset_name)
    from ramer.extraction.manifest import Manifest

    return Manifest.read(like).settings


def expected_encoders(like: Path | None, settings: ExtractionSettings) -> dict[str, dict[str, Any]]:
    """The manifest's encoders, of the modalities that the command line does not make otherwise; none without one."""
    if like is None:
        return {}
    from ramer.extraction.manifest import Manifest

    manifest = Manifest.read(like)
    made = manifest.settings.modalities
    same = {m for m in settings.modalities if m in made and settings.of(m).deciding == manifest.settings.of(m).deciding}
    if settings.recognition == manifest.settings.recognition:
        same.add("recognition")
    return {name: record for name, record in manifest.records.items() if name in same}


def with_models(
    settings: ExtractionSettings, models: dict[str, str | None], options: dict[str, Any], frames: bool
) -> ExtractionSettings:
    """Settings with the command line's models and their options.

    Raises:
        ConfigError: a value is out of range, or nothing is left to do.
    """
    from ramer.errors import ConfigError

    raw = settings.model_dump()
    for modality, model in models.items():
        if model == "none":
            raw[modality] = None
        elif model is not None:
            raw[modality] = (raw[modality] or {}) | {"extractor": "huggingface", **_named(model)}
    for section in (raw[m] for m in models):
        if section is not None:
            section |= {key: value for key, value in options.items() if value is not None and key in section}
    raw["per_frame"] = raw["per_frame"] or frames
    if all(raw[modality] is None for modality in models):
        raise ConfigError("extract: every modality is left out, nothing to do")
    return _validated(raw)


def with_recognition(settings: ExtractionSettings, model: str | None, language: str | None) -> ExtractionSettings:
    """Settings with the command line's speech recognition.

    Raises:
        ConfigError: a language without a model, or a model without text to make.
    """
    from ramer.errors import ConfigError

    raw = settings.model_dump()
    if model is not None:
        raw["recognition"] = _named(model)
    if language is not None:
        if raw["recognition"] is None:
            raise ConfigError("language: is for speech recognition, expected --recognise with a Whisper model")
        raw["recognition"]["language"] = language
    return _validated(raw)


def _validated(raw: dict[str, Any]) -> ExtractionSettings:
    from pydantic import ValidationError

    from ramer.config import fault_lines
    from ramer.errors import ConfigError
    from ramer.extraction.settings import ExtractionSettings

    try:
        return ExtractionSettings.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(fault_lines(error, "extract")) from None


def chosen_crop(settings: ExtractionSettings, video: str | None, whole_frame: bool, faces: Path | None) -> str | None:
    """What pictures are cropped to, None where the settings stand.

    Raises:
        ConfigError: both a folder of crops and whole frames are asked for, or the settings need such a folder.
    """
    from ramer.errors import ConfigError

    if whole_frame and faces is not None:
        raise ConfigError("extract: --whole-frame and --faces exclude one another")
    if whole_frame or faces is not None:
        return "frame" if whole_frame else "ready"
    if settings.video is not None and settings.video.crop == "ready" and video != "none":
        raise ConfigError("extract: the manifest's pictures are ready crops of faces, expected their folder as --faces")
    return None


def absolute(detector: str | None) -> str | None:
    """A detector's path as it is found from every folder: the manifest keeps it."""
    path = Path(detector).expanduser() if detector else None
    return str(path.resolve()) if path is not None and path.is_file() else detector


def _named(model: str) -> dict[str, str | None]:
    if Path(model).expanduser().exists():  # a folder may well hold an @
        return {"model": model, "revision": None}
    name, _, revision = model.partition("@")
    return {"model": name, "revision": revision or None}
