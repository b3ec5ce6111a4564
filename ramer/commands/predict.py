"""``ramer predict``: emotions of clips, raw or as features, with anything missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ramer.commands import options
from ramer.data.media_kinds import MEDIA_KINDS, MEDIA_SUFFIXES
from ramer.starting import check_printing
from ramer.targets import file_target, is_stream

if TYPE_CHECKING:
    from ramer.serving.features import Features
    from ramer.serving.predictor import Prediction, Predictor


def predict(
    source: Annotated[
        Path | None,
        typer.Argument(
            help=f"A clip ({MEDIA_KINDS}); an npz with ids and any of A, V, L; or a folder of feature "
            "folders, or of clips. Nothing: a transcript alone."
        ),
    ] = None,
    model: options.Model = Path("."),
    method: options.Method = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV to write; standard output else.")] = None,
    transcript: Annotated[str | None, typer.Option(help="What is said in the clip.")] = None,
    transcripts: Annotated[Path | None, typer.Option(help="Of a folder of clips: CSV with what is said.")] = None,
    manifest: options.Manifest = None,
    preset: options.Preset = None,
    audio: options.AudioFolder = None,
    video: options.VideoFolder = None,
    text: options.TextFolder = None,
    frames: options.Frames = False,
    coverage: Annotated[
        float | None, typer.Option(help="Also write sets that hold the true emotion of this share of clips, as 0.9.")
    ] = None,
    risk: Annotated[
        float | None, typer.Option(help="Also say where to be silent: at most this share of the answers is wrong.")
    ] = None,
    drop: Annotated[str, typer.Option(help="Modalities to ignore, any of the letters a, v, t.")] = "",
) -> None:
    """Predict the emotions of clips, whatever they lack.

    Writes a CSV with one row per clip: id, available, predicted, method, p/<label>...
    """
    from ramer.serving.features import check_letters, drop_modalities
    from ramer.serving.predictor import Predictor

    check_letters(drop, "--drop")
    _check_output(output)
    folders = {"audio": audio, "video": video, "text": text}
    many = _is_clip_folder(source, transcripts, folders)
    raw = _is_clip(source)
    _check_goes_together(source, raw, many, folders, transcript, manifest=manifest, preset=preset, output=output)
    predictor = Predictor.load(model, method)
    predictor.check_judges(coverage, risk)
    if many and source is not None and output is not None:
        kept = output.with_name(f"{output.stem}.features")
        ids, features = extract_folder(predictor, source, kept, transcripts, manifest, preset)
    elif raw:
        ids, features = _read_clip(predictor, source, transcript, manifest, preset)
    else:
        assert source is not None
        ids, features = _read_features(predictor, source, folders, frames)
    said = predictor.predict(drop_modalities(features, drop), coverage=coverage, risk=risk)
    _write(ids, said, output)


def _check_goes_together(
    source: Path | None,
    raw: bool,
    many: bool,
    folders: Mapping[str, str | None],
    transcript: str | None,
    *,
    manifest: Path | None,
    preset: str | None,
    output: Path | None,
) -> None:
    from ramer.errors import ConfigError

    if source is None and transcript is None:
        raise ConfigError("SOURCE: expected a clip, an npz or a folder of features; or --transcript alone")
    of_clip = {"--transcript": transcript, "--manifest": manifest, "--preset": preset}
    if not (raw or many) and (named := [option for option, given in of_clip.items() if given is not None]):
        verb = "is" if len(named) == 1 else "are"
        raise ConfigError(f"{source}: {' and '.join(named)} {verb} for a raw clip, this holds features")
    if many:
        wanted = ["-o FILE, beside which features are kept for another run"] * (output is None)
        wanted += ["--transcripts FILE in place of --transcript"] * (transcript is not None)
        if wanted:
            raise ConfigError(f"{source}: many clips: expected {', and '.join(wanted)}")
        if output is not None and is_stream(output):
            raise ConfigError(f"{output}: many clips: expected a file, beside which features are kept for another run")
    if source is not None and source.is_file() and any(folders.values()):
        raise ConfigError(f"{source}: --audio, --video and --text name folders of features, this is a file")


def _check_output(output: Path | None) -> None:
    """Refuse before the work what cannot be written to after it."""
    if output is None:
        check_printing()
    elif not is_stream(output):
        file_target(output)


def _write(ids: list[str], said: Prediction, output: Path | None) -> None:
    import sys

    from ramer.files import atomic_file
    from ramer.serving.json_records import prediction_csv

    for note in said.notes:
        typer.echo(note, err=True)
    table = prediction_csv(ids, said)
    if output is None:
        table.to_csv(sys.stdout, index=False)
        return
    if is_stream(output):
        with output.open("w", encoding="utf-8", newline="") as stream:
            table.to_csv(stream, index=False)
    else:
        with atomic_file(output) as temporary:
            table.to_csv(temporary, index=False)
    typer.echo(f"{len(table)} clips -> {output}")


def _is_clip(source: Path | None) -> bool:
    if source is None:
        return True
    return not source.is_dir() and source.suffix.lower() in MEDIA_SUFFIXES


def _is_clip_folder(source: Path | None, transcripts: Path | None, folders: dict[str, str | None]) -> bool:
    from ramer.errors import ConfigError
    from ramer.serving.features import holds_clips

    many = source is not None and not any(folders.values()) and holds_clips(source)
    if transcripts is not None and not many:
        raise ConfigError(f"{source}: --transcripts is for a folder of clips ({MEDIA_KINDS})")
    return many


def extract_folder(
    predictor: Predictor,
    source: Path,
    kept: Path,
    transcripts: Path | None,
    manifest: Path | None,
    preset: str | None,
) -> tuple[list[str], Features]:
    """Features of all clips below a folder, with progress on standard error; a rerun goes on where it was ended."""
    from ramer.extraction.console import shown_progress
    from ramer.serving.clip_folder import read_clip_folder
    from ramer.serving.raw_clips import ClipReader

    reader = ClipReader(predictor, manifest=manifest, preset=preset)
    with shown_progress() as progress:
        return read_clip_folder(reader, source, kept, transcripts, progress)


def _read_clip(
    predictor: Predictor, source: Path | None, transcript: str | None, manifest: Path | None, preset: str | None
) -> tuple[list[str], Features]:
    from ramer.serving.raw_clips import ClipReader

    clip = ClipReader(predictor, manifest=manifest, preset=preset).read(source, transcript)
    for m, reason in clip.missing.items():
        typer.echo(f"{m} is missing: {reason}", err=True)
    vectors: Features = {m: None if vector is None else vector[None] for m, vector in clip.vectors.items()}
    return ["transcript" if source is None else source.stem], vectors


def _read_features(
    predictor: Predictor, source: Path, folders: dict[str, str | None], frames: bool
) -> tuple[list[str], Features]:
    from ramer.serving.features import read_features

    if not any(folders.values()):  # those of the corpus, as far as they are there
        folders = {m: name for m, name in predictor.feature_folders.items() if name and (source / name).is_dir()}
    return read_features(source, folders, frames=frames)
