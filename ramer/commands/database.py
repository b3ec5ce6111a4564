"""``ramer database``: the clips that a model retrieves from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ramer.commands import options


def add(
    features: Annotated[
        Path, typer.Option(help="An npz with ids and any of A, V, L; or a folder of MERBench feature folders.")
    ],
    model: Annotated[
        str, typer.Option(help="An exported model, changed in place; or models:/NAME@ALIAS, which gets a new version.")
    ],
    audio: options.AudioFolder = None,
    video: options.VideoFolder = None,
    text: options.TextFolder = None,
    frames: options.Frames = False,
) -> None:
    """Append unlabelled clips to a model's retrieval database, all of them or none."""
    import os

    from ramer.mlflow_address import names_version
    from ramer.serving.additions import add_to_database
    from ramer.serving.features import read_features
    from ramer.serving.modelfiles import open_model

    folders: dict[str, str | None] = {"audio": audio, "video": video, "text": text}
    if not any(folders.values()) and features.is_dir():
        with open_model(model, verify=False) as files:
            named = files.description.feature_folders
        folders = {m: name for m, name in named.items() if name and (features / name).is_dir()}
    ids, read = read_features(features, folders, frames=frames)
    where = model
    if names_version(model):
        from ramer.tracking.database_version import add_to_version

        made, version = add_to_version(model, ids, read, os.environ)
        where = f"models:/{version.name}/{version.version} (candidate)"
    else:
        made = add_to_database(Path(model), ids, read)
    held = ", ".join(f"{count} with {m}" for m, count in made.held.items())
    typer.echo(f"{made.clips} clips ({held}) added to {made.rows_before} -> {where}")
