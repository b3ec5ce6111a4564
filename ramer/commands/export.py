"""``ramer export``: a trained model as one folder that works without its project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ramer.commands import options


def export(
    out: Annotated[Path, typer.Argument(help="Folder to write; an exported model that is there is replaced.")],
    model: options.Model = Path("."),
    method: options.Method = None,
    project: Annotated[Path | None, typer.Option("--project", hidden=True)] = None,  # --model, before it took others
) -> None:
    """Copy a trained model into a folder of its own.

    Encoders, method, indexes and retrieval database: all that `ramer predict --model` needs.
    """
    from ramer.serving.modelfiles import export_model

    export_model(project or model, out, method)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    typer.echo(f"{size / 1e6:.1f} MB -> {out}")
