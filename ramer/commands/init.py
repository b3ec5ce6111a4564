"""``ramer init``: a new project."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Empty, not there yet, or a git repository without any file.")],
) -> None:
    """Make a project of your own in an empty folder."""
    from ramer.pipeline.new_project import make_project

    make_project(folder)
    typer.echo(f"{folder}: a project. Next:")
    typer.echo(f"  cd {shlex.quote(str(folder))} && git add --all && git commit -m Start")
    typer.echo("  dvc repro && ramer report")
