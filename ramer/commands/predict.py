"""``ramer predict``: emotions of clips whose features are given, with anything missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    source: Annotated[
        Path, typer.Argument(help="An npz with ids and any of A, V, L; or a folder of MERBench feature folders.")
    ],
    model: Annotated[
        Path | None, typer.Option(help="A ramer project or an exported model; the current directory by default.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="A method of that project; serve.method of its params.yaml by default.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV to write; standard output else.")] = None,
    audio: Annotated[str | None, typer.Option(help="Audio feature folder below SOURCE.")] = None,
    video: Annotated[str | None, typer.Option(help="Video feature folder below SOURCE.")] = None,
    text: Annotated[str | None, typer.Option(help="Text feature folder below SOURCE.")] = None,
    drop: Annotated[str, typer.Option(help="Modalities to ignore, any of the letters a, v, t.")] = "",
) -> None:
    """Predict emotions; writes a CSV with one row per clip: id, available, predicted, p/<label>..."""
    import sys

    from ramer.files import atomic_file
    from ramer.serving.inputs import drop_modalities, read_features
    from ramer.serving.predictor import Predictor
    from ramer.serving.tables import prediction_csv

    predictor = Predictor.load(model or Path("."), method=method)
    folders: dict[str, str | None] = {"audio": audio, "video": video, "text": text}
    if not any(folders.values()):  # those of the corpus, as far as they are there
        folders = {m: name for m, name in predictor.feature_folders.items() if name and (source / name).is_dir()}
    ids, features = read_features(source, folders)
    table = prediction_csv(ids, predictor.predict(drop_modalities(features, drop)))
    if output is None:
        table.to_csv(sys.stdout, index=False)
        return
    with atomic_file(output) as temporary:
        table.to_csv(temporary, index=False)
    typer.echo(f"{len(table)} clips -> {output}")
