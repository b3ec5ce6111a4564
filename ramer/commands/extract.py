"""``ramer extract``: raw clips to features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ramer.data.media_kinds import MEDIA_KINDS

if TYPE_CHECKING:
    from ramer.extraction.corpus_features import Summary
    from ramer.extraction.settings import ExtractionSettings

_MODEL = "Hugging Face model for {}: a local folder, or NAME@COMMIT of the hub; 'none' leaves {} out."

Media = Annotated[Path, typer.Argument(help=f"Folder of clips: {MEDIA_KINDS}; sub-folders too.")]
Out = Annotated[Path, typer.Argument(help="Gets features/<extractor>-UTT/<clip>.npy and features/manifest.json.")]
Transcripts = Annotated[Path | None, typer.Option(help="UTF-8 CSV with the columns clip and sentence.")]
WordsAlone = Annotated[
    bool, typer.Option("--words-alone", help="Rows that name no media are clips of words alone, however many.")
]
Preset = Annotated[str, typer.Option(help="light (nothing is downloaded) or mer2024 (the paper's models).")]
Like = Annotated[
    Path | None, typer.Option(help="A manifest: make features exactly as those were, in place of a preset.")
]
Audio = Annotated[str | None, typer.Option(help=_MODEL.format("audio", "sound"))]
Video = Annotated[str | None, typer.Option(help=_MODEL.format("video", "pictures"))]
Text = Annotated[str | None, typer.Option(help=_MODEL.format("text", "text"))]
Recognise = Annotated[
    str | None, typer.Option(help="Whisper model that writes the transcript of a clip that has none.")
]
Language = Annotated[str | None, typer.Option(help="Language to recognise, as zh or en; found out else.")]
Layers = Annotated[int | None, typer.Option(help="Last layers averaged, for sound and text; 4 by default.")]
FrameRate = Annotated[float | None, typer.Option(help="Frames per second that are looked at; 5 by default.")]
WholeFrame = Annotated[bool, typer.Option("--whole-frame", help="Encode the whole picture, not the face.")]
Faces = Annotated[
    Path | None, typer.Option(help="Folder of ready crops, CLIP/CLIP.npy or CLIP[_aligned]/*.bmp: no face is sought.")
]
Detector = Annotated[
    str | None, typer.Option(help="Of faces: centerface (the default), haar, or a YuNet model's path.")
]
Face = Annotated[str | None, typer.Option(help="Which of several: largest or central; largest by default.")]
Frames = Annotated[bool, typer.Option("--frames", help="Also write the sequences: <extractor>-FRA.")]
Dtype = Annotated[str | None, typer.Option(help="Precision of the models: float32, float16 or bfloat16.")]
Labels = Annotated[Path | None, typer.Option(help="CSV with clip, label[, speaker, split]: also write OUT/corpus.npz.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Inputs per call of a model: speed and memory.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Prune = Annotated[bool, typer.Option("--prune", help="Remove features of clips that are no longer there.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that a model brings along. Read it first.")
]


def extract(
    media: Media,
    out: Out,
    transcripts: Transcripts = None,
    words_alone: WordsAlone = False,
    preset: Preset = "light",
    like: Like = None,
    audio: Audio = None,
    video: Video = None,
    text: Text = None,
    recognise: Recognise = None,
    language: Language = None,
    layers: Layers = None,
    frame_rate: FrameRate = None,
    whole_frame: WholeFrame = False,
    faces: Faces = None,
    detector: Detector = None,
    face: Face = None,
    frames: Frames = False,
    dtype: Dtype = None,
    labels: Labels = None,
    batch_size: BatchSize = 16,
    device: Device = "auto",
    prune: Prune = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Turn raw clips into features.

    A rerun does only what is new, has changed or has failed.
    """
    settings = _settings(preset, like)
    options = {"layers": layers, "frames_per_second": frame_rate, "dtype": dtype, "face": face}
    options |= {"crop": _crop(settings, video, whole_frame, faces), "detector": _absolute(detector)}
    settings = _with_models(settings, {"audio": audio, "video": video, "text": text}, options, frames)
    settings = _with_recognition(settings, recognise, language)

    from ramer.extraction.console import shown_progress
    from ramer.extraction.corpus_features import extract_corpus
    from ramer.extraction.extractor import Extractor
    from ramer.extraction.packing import check_labels

    if labels is not None:
        check_labels(labels, media, transcripts, out / "features")  # refused before the work, not after it
    expected, trust = _expected(like, settings), trust_remote_code
    extractor = Extractor(settings, device=device, batch_size=batch_size, trust_remote_code=trust, expected=expected)
    with shown_progress() as progress:
        summary = extract_corpus(
            extractor,
            media,
            out,
            transcripts=transcripts,
            words_alone=words_alone,
            faces=faces,
            prune=prune,
            progress=progress,
        )
    typer.echo("\n".join(_summary_lines(summary, out, prune)))
    if labels is not None:
        _pack(labels, out)


def _pack(labels: Path, out: Path) -> None:
    from ramer.extraction.packing import pack_corpus

    pack_corpus(out / "features", labels, out / "corpus.npz")
    typer.echo(f"packed -> {out / 'corpus.npz'}")


def _settings(preset_name: str, like: Path | None) -> ExtractionSettings:
    from ramer.extraction.requirements import check_packages
    from ramer.extraction.settings import preset

    check_packages("extract")
    if like is None:
        return preset(preset_name)
    from ramer.extraction.manifest import Manifest

    return Manifest.read(like).settings


def _expected(like: Path | None, settings: ExtractionSettings) -> dict[str, dict[str, Any]]:
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


def _with_models(
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


def _with_recognition(settings: ExtractionSettings, model: str | None, language: str | None) -> ExtractionSettings:
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


def _crop(settings: ExtractionSettings, video: str | None, whole_frame: bool, faces: Path | None) -> str | None:
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


def _absolute(detector: str | None) -> str | None:
    """A detector's path as it is found from every folder: the manifest keeps it."""
    path = Path(detector).expanduser() if detector else None
    return str(path.resolve()) if path is not None and path.is_file() else detector


def _named(model: str) -> dict[str, str | None]:
    if Path(model).expanduser().exists():  # a folder may well hold an @
        return {"model": model, "revision": None}
    name, _, revision = model.partition("@")
    return {"model": name, "revision": revision or None}


def _summary_lines(summary: Summary, out: Path, prune: bool) -> list[str]:
    lines = [f"{summary.clips} clips, {summary.done} of them new, changed or tried again"]
    for modality, counts in summary.counts.items():
        told = ", ".join(f"{counts.get(status, 0)} {status}" for status in ("extracted", "missing", "failed"))
        lines.append(f"{modality}: {told}; {summary.dims.get(modality, 0)} values")
    if summary.left_out:
        lines.append(f"{len(summary.left_out)} left out")
    lines += summary.passed_over
    if summary.gone:
        verb = "removed" if prune else "kept (--prune removes them)"
        lines.append(f"{summary.gone} clips of earlier runs are no longer there: {verb}")
    return [*lines, f"features and manifest -> {out / 'features'}"]
