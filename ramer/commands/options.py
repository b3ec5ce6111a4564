"""Options that several commands have: ``--project`` names a project, ``--model`` whatever predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Project = Annotated[Path, typer.Option("--project", help="A project: a folder whose pipeline has run.")]
Model = Annotated[
    Path,
    typer.Option("--model", help="A model: a project, an exported folder, or models:/NAME@ALIAS of the registry."),
]
Method = Annotated[str | None, typer.Option("--method", help="A method of the project; serve.method by default.")]
Manifest = Annotated[
    Path | None,
    typer.Option("--manifest", help="Manifest of the features that the model was trained on; its corpus' own else."),
]
Preset = Annotated[
    str | None, typer.Option("--preset", help="In place of a manifest, the preset that made them: light, mer2024.")
]
AudioFolder = Annotated[str | None, typer.Option("--audio", help="Audio feature folder below the features' folder.")]
VideoFolder = Annotated[str | None, typer.Option("--video", help="Video feature folder below the features' folder.")]
Frames = Annotated[
    bool, typer.Option("--frames", help="Every sub-folder of a feature folder holds one file per frame of one clip.")
]
TextFolder = Annotated[str | None, typer.Option("--text", help="Text feature folder below the features' folder.")]
