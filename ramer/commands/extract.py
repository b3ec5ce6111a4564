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


def extract(
    media: Annotated[Path, typer.Argument(help=f"Folder of clips: {MEDIA_KINDS}; sub-folders too.")],
    out: Annotated[Path, typer.Argument(help="Gets features/<extractor>-UTT/<clip>.npy and features/manifest.json.")],
    transcripts: Annotated[Path | None, typer.Option(help="UTF-8 CSV with the columns clip and sentence.")] = None,
    words_alone: Annotated[
        bool, typer.Option("--words-alone", help="Rows that name no media are clips of words alone, however many.")
    ] = False,
    preset: Annotated[
        str, typer.Option(help="light (nothing is downloaded) or mer2024 (the paper's models).")
    ] = "light",
    like: Annotated[
        Path | None, typer.Option(help="A manifest: make features exactly as those were, in place of a preset.")
    ] = None,
    audio: Annotated[str | None, typer.Option(help=_MODEL.format("audio", "sound"))] = None,
    video: Annotated[str | None, typer.Option(help=_MODEL.format("video", "pictures"))] = None,
    text: Annotated[str | None, typer.Option(help=_MODEL.format("text", "text"))] = None,
    recognise: Annotated[
        str | None, typer.Option(help="Whisper model that writes the transcript of a clip that has none.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language to recognise, as zh or en; found out else.")] = None,
    layers: Annotated[int | None, typer.Option(help="Last layers averaged, for sound and text; 4 by default.")] = None,
    frame_rate: Annotated[
        float | None, typer.Option(help="Frames per second that are looked at; 5 by default.")
    ] = None,
    whole_frame: Annotated[bool, typer.Option("--whole-frame", help="Encode the whole picture, not the face.")] = False,
    faces: Annotated[
        Path | None,
        typer.Option(help="Folder of ready crops, CLIP/CLIP.npy or CLIP[_aligned]/*.bmp: no face is sought."),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Of faces: centerface (the default), haar, or a YuNet model's path."),
    ] = None,
    face: Annotated[str | None, typer.Option(help="Which of several: largest or central; largest by default.")] = None,
    frames: Annotated[bool, typer.Option("--frames", help="Also write the sequences: <extractor>-FRA.")] = False,
    dtype: Annotated[str | None, typer.Option(help="Precision of the models: float32, float16 or bfloat16.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV with clip, label[, speaker, split]: also write OUT/corpus.npz.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Inputs per call of a model: speed and memory.")] = 16,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    prune: Annotated[bool, typer.Option("--prune", help="Remove features of clips that are no longer there.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run Python code that a model brings along. Read it first.")
    ] = False,
) -> None:
    """Turn raw clips into features.

    A rerun does only what is new, has changed or has failed.
    """
    settings = _settings(preset, like)
    settings = _changed(
        settings,
        models={"audio": audio, "video": video, "text": text},
        recognise=recognise,
        language=language,
        options={"layers": layers, "frames_per_second": frame_rate, "dtype": dtype}
        | {"crop": _crop(settings, video, whole_frame, faces), "detector": _absolute(detector), "face": face},
        frames=frames,
    )
    expected = _expected(like, settings) if like is not None else None

    from ramer.extraction.console import shown_progress
    from ramer.extraction.corpus_features import extract_corpus
    from ramer.extraction.extractor import Extractor
    from ramer.extraction.packing import check_labels, pack_corpus

    if labels is not None:
        check_labels(labels, media, transcripts, out / "features")  # refused before the work, not after it
    extractor = Extractor(
        settings, device=device, batch_size=batch_size, trust_remote_code=trust_remote_code, expected=expected
    )
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
    for line in _summary_lines(summary, out, prune):
        typer.echo(line)
    if labels is not None:
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


def _expected(like: Path, settings: ExtractionSettings) -> dict[str, dict[str, Any]]:
    """The manifest's encoders, of the modalities that the command line does not make otherwise."""
    from ramer.extraction.manifest import Manifest

    manifest = Manifest.read(like)
    made = manifest.settings.modalities
    same = {m for m in settings.modalities if m in made and settings.of(m).deciding == manifest.settings.of(m).deciding}
    if settings.recognition == manifest.settings.recognition:
        same.add("recognition")
    return {name: record for name, record in manifest.records.items() if name in same}


def _changed(
    settings: ExtractionSettings,
    *,
    models: dict[str, str | None],
    recognise: str | None,
    language: str | None,
    options: dict[str, Any],
    frames: bool,
) -> ExtractionSettings:
    """Settings with the command line's wishes, validated again.

    Raises:
        ConfigError: a value is out of range, or an option asks for what is not made.
    """
    from pydantic import ValidationError

    from ramer.config import fault_lines
    from ramer.errors import ConfigError
    from ramer.extraction.settings import ExtractionSettings

    raw = settings.model_dump()
    for modality, model in models.items():
        if model == "none":
            raw[modality] = None
        elif model is not None:
            name, revision = _name_and_revision(model)
            raw[modality] = (raw[modality] or {}) | {"extractor": "huggingface", "model": name, "revision": revision}
    for section in (raw[m] for m in models):
        if section is not None:
            section |= {key: value for key, value in options.items() if value is not None and key in section}
    if recognise is not None:
        name, revision = _name_and_revision(recognise)
        raw["recognition"] = {"model": name, "revision": revision}
    if language is not None:
        if raw["recognition"] is None:
            raise ConfigError("language: is for speech recognition, expected --recognise with a Whisper model")
        raw["recognition"]["language"] = language
    raw["per_frame"] = raw["per_frame"] or frames
    if all(raw[modality] is None for modality in models):
        raise ConfigError("extract: every modality is left out, nothing to do")
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


def _name_and_revision(text: str) -> tuple[str, str | None]:
    if Path(text).expanduser().exists():  # a folder may well hold an @
        return text, None
    name, _, revision = text.partition("@")
    return name, revision or None


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
