"""``ramer export``: a trained model as one folder that works without its project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    out: Annotated[Path, typer.Argument(help="Folder to write; an exported model that is there is replaced.")],
    method: Annotated[
        str | None, typer.Option(help="A method of the project; serve.method of its params.yaml by default.")
    ] = None,
    project: Annotated[Path, typer.Option(help="A ramer project whose pipeline has run.")] = Path("."),
) -> None:
    """Copy encoders, method, indexes and retrieval database into one folder for `ramer predict --model`."""
    from ramer.serving.modelfiles import export_model

    export_model(project, out, method)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    typer.echo(f"{size / 1e6:.1f} MB -> {out}")
