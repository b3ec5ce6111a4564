"""``ramer extract``: raw clips to features."""

from __future__ import annotations

import os
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ramer.commands.extraction_settings import (
    absolute,
    chosen_crop,
    chosen_settings,
    expected_encoders,
    with_models,
    with_recognition,
)
from ramer.data.media_kinds import MEDIA_KINDS

if TYPE_CHECKING:
    from ramer.extraction.extractor import Extractor
    from ramer.extraction.outcome_summary import Summary
    from ramer.extraction.settings import ExtractionSettings
    from ramer.extraction.shards import Shard as Part
    from ramer.extraction.source import Source

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
Shard = Annotated[
    str | None, typer.Option(help="I/N: only this one of N parts, beside other runs; --merge makes them one.")
]
Merge = Annotated[bool, typer.Option("--merge", help="Make the N parts one, once all have run; nothing is extracted.")]
Engine = Annotated[
    str | None, typer.Option(help="serial, local (processes of this machine) or ray (a cluster); RAMER_ENGINE else.")
]
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
    shard: Shard = None,
    merge: Merge = False,
    engine: Engine = None,
    prune: Prune = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Turn raw clips into features.

    A rerun does only what is new, has changed or has failed.
    """
    settings = chosen_settings(preset, like)
    options = {"layers": layers, "frames_per_second": frame_rate, "dtype": dtype, "face": face}
    options |= {"crop": chosen_crop(settings, video, whole_frame, faces), "detector": absolute(detector)}
    settings = with_models(settings, {"audio": audio, "video": video, "text": text}, options, frames)
    settings = with_recognition(settings, recognise, language)

    from ramer.devices import check_name
    from ramer.extraction.extractor import Extractor
    from ramer.extraction.packing import check_labels
    from ramer.extraction.shards import Shard as Part
    from ramer.extraction.source import Source

    part = Part.parse(shard) if shard is not None else None
    way = _way(shard, merge, engine, prune, labels)
    check_name(device, "device")
    if labels is not None:
        check_labels(labels, media, transcripts, out / "features")  # refused before the work, not after it
    source, trust = Source(media, transcripts, words_alone, faces), trust_remote_code
    expected = expected_encoders(like, settings)
    if way is _Way.MERGE:
        summary = _merged(settings, source, out, prune)
    else:
        # Workers choose their device where they are: none is looked for here.
        here = "cpu" if way is _Way.ENGINE else device
        extractor = Extractor(settings, device=here, batch_size=batch_size, trust_remote_code=trust, expected=expected)
        summary = _extracted(way, extractor, source, out, device, part, prune)
    typer.echo("\n".join(_summary_lines(summary, out, way, prune)))
    if labels is not None:
        _pack(labels, out)


class _Way(Enum):
    """Who extracts."""

    ALONE = auto()
    SHARD = auto()
    ENGINE = auto()
    MERGE = auto()


def _way(shard: str | None, merge: bool, engine: str | None, prune: bool, labels: Path | None) -> _Way:
    """The way that the options ask for; an engine that is named holds for this process.

    Raises:
        ConfigError: options that exclude one another, or no such engine.
    """
    from ramer.engine import ENGINES, VARIABLE, check_environment, chosen_engine
    from ramer.errors import ConfigError

    asked = {"--shard": shard is not None, "--merge": merge, "--engine": engine is not None}
    if sum(asked.values()) > 1:
        told = " and ".join(option for option, given in asked.items() if given)
        raise ConfigError(f"extract: {told} exclude one another")
    if shard is not None and (prune or labels is not None):
        raise ConfigError("extract: --prune and --labels are for the whole corpus: give them with --merge")
    if engine is not None:
        if engine not in ENGINES:
            raise ConfigError(f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}")
        os.environ[VARIABLE] = engine
    check_environment()
    if merge or shard is not None:
        return _Way.MERGE if merge else _Way.SHARD
    # Workers load a model each: unasked, one process makes everything.
    return _Way.ENGINE if os.environ.get(VARIABLE) and chosen_engine() != "serial" else _Way.ALONE


def _extracted(
    way: _Way, extractor: Extractor, source: Source, out: Path, device: str, part: Part | None, prune: bool
) -> Summary:
    from ramer.extraction.console import shown_progress
    from ramer.extraction.corpus_features import extract_corpus
    from ramer.extraction.parts import extract_in_parts

    with shown_progress(bar=way is not _Way.ENGINE) as progress:
        if way is _Way.ENGINE:
            return extract_in_parts(extractor, source, out, device=device, prune=prune)
        return extract_corpus(
            extractor,
            source.media,
            out,
            transcripts=source.transcripts,
            words_alone=source.words_alone,
            faces=source.faces,
            shard=part,
            prune=prune,
            progress=progress,
        )


def _merged(settings: ExtractionSettings, source: Source, out: Path, prune: bool) -> Summary:
    from ramer.extraction.console import shown_progress
    from ramer.extraction.parts import merge_corpus

    with shown_progress(bar=False):
        return merge_corpus(settings, source, out, prune=prune)


def _pack(labels: Path, out: Path) -> None:
    from ramer.extraction.packing import pack_corpus

    pack_corpus(out / "features", labels, out / "corpus.npz")
    typer.echo(f"packed -> {out / 'corpus.npz'}")


def _summary_lines(summary: Summary, out: Path, way: _Way, prune: bool) -> list[str]:
    told = "of all shards" if way is _Way.MERGE else f"{summary.done} of them new, changed or tried again"
    lines = [f"{summary.clips} clips, {told}"]
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
