"""``ramer evaluate``: a trained model on new labelled clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ramer.commands import options

if TYPE_CHECKING:
    from ramer.pipeline.new_clips import Evaluation
    from ramer.serving.features import Features
    from ramer.serving.labelled_clips import LabelledClips
    from ramer.serving.model import ModelFiles


def evaluate(
    source: Annotated[
        Path, typer.Argument(help="A packed corpus (npz), a folder of feature folders, or a folder of raw clips.")
    ],
    model: options.Model = Path("."),
    method: options.Method = None,
    labels: Annotated[
        Path | None, typer.Option(help="Of a folder: CSV with clip, label and, if wanted, speaker; or MERBench's npz.")
    ] = None,
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", help="A label of the clips in the model's words, anger=angry; anger= leaves it out."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write; an evaluation that is there is replaced.")] = Path(
        "evaluation"
    ),
    split: Annotated[str | None, typer.Option(help="Of an npz: only this split, as test.")] = None,
    transcripts: Annotated[Path | None, typer.Option(help="Of raw clips: CSV with what is said.")] = None,
    manifest: options.Manifest = None,
    preset: options.Preset = None,
    audio: options.AudioFolder = None,
    video: options.VideoFolder = None,
    text: options.TextFolder = None,
    frames: options.Frames = False,
    track: Annotated[bool, typer.Option(help="Log it to MLflow, beside the version of a registered model.")] = True,
) -> None:
    """Score a model on new labelled clips, under every condition.

    Writes scores with intervals, the report and the explorer; a model of the registry gets a run beside its version.
    """
    from ramer.mlflow_address import names_version
    from ramer.pipeline.new_clips import Asked, evaluate_clips
    from ramer.serving.labelled_clips import in_words_of, parse_mapping
    from ramer.serving.modelfiles import open_model

    mapping = parse_mapping(mapped or [])
    folders = {"audio": audio, "video": video, "text": text}
    with open_model(model, method) as files:
        clips = _read(files, source, labels, split, folders, frames, (transcripts, manifest, preset, out))
        clips = in_words_of(clips, files.description.label_names, mapping)
        done = evaluate_clips(files, clips, Asked(str(model), mapping), out)
    for note in done.notes:
        typer.echo(note, err=True)
    _print(done)
    typer.echo(f"{done.clips} clips -> {out}")
    if track and names_version(model):
        _track(str(model), out, done)


def _read(
    files: ModelFiles,
    source: Path,
    labels: Path | None,
    split: str | None,
    folders: dict[str, str | None],
    frames: bool,
    raw: tuple[Path | None, Path | None, str | None, Path],
) -> LabelledClips:
    """The clips with the labels that they have.

    Args:
        raw: transcripts, manifest and preset of raw clips, and where the evaluation is written.
    """
    from ramer.errors import ConfigError
    from ramer.serving.features import holds_clips, read_features
    from ramer.serving.labelled_clips import join_labels, read_labelled_npz

    if not source.is_dir():
        if labels is not None:
            raise ConfigError(f"{source}: --labels is for a folder, a packed corpus holds its labels")
        return read_labelled_npz(source, split)
    if labels is None:
        raise ConfigError(f"{source}: expected --labels, a CSV with the columns clip and label")
    if split is not None:
        raise ConfigError(f"{source}: --split is for a packed corpus")
    if not any(folders.values()):
        named = files.description.feature_folders
        folders = {m: name for m, name in named.items() if name and (source / name).is_dir()}
    if any(folders.values()) or not holds_clips(source):
        return join_labels(source, labels, lambda: read_features(source, folders, frames=frames))
    transcripts, manifest, preset, out = raw

    def extracted() -> tuple[list[str], Features]:
        from ramer.commands.predict import extract_folder
        from ramer.serving.predictor import Predictor

        kept = out.with_name(f"{out.name}.features")
        return extract_folder(Predictor(files), source, kept, transcripts, manifest, preset)

    return join_labels(source, labels, extracted)


def _print(done: Evaluation) -> None:
    from ramer.reporting.tables import metric_words

    typer.echo(f"{done.method} on {done.source}, points with their 95 % interval over {done.unit}s")
    for score in done.scores:
        low, high = 100 * score.low, 100 * score.high
        typer.echo(
            f"  {metric_words(score.metric):12} {score.condition:5} {100 * score.value:5.1f} [{low:.1f}, {high:.1f}]"
        )


def _track(model: str, out: Path, done: Evaluation) -> None:
    import os

    from ramer.tracking.evaluations import log_evaluation

    scores = {f"{s.condition}/{s.metric}{end}": value for s in done.scores for end, value in s.ends.items()}
    tags = {"ramer.clips": Path(done.source).stem, "ramer.clips_digest": done.digest, "method": done.method}
    run = log_evaluation(model, out, scores, tags, os.environ, Path.cwd())
    typer.echo(f"logged to MLflow as run {run}, below that of {model}")
