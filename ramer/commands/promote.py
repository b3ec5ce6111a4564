"""``ramer promote``: the candidate becomes champion, unless it is worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ramer.commands import options


def promote(
    version: Annotated[
        str | None, typer.Argument(help="Number of a version; the one called candidate by default.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="In the registry; serve.model of params.yaml by default.")] = None,
    project: options.Project = Path("."),
) -> None:
    """Make the candidate champion, unless it is worse.

    Moves the alias of the registry if avg6 is not worse, on the same corpus.
    """
    import os

    from ramer.config import load_config
    from ramer.evaluation.points import signed
    from ramer.project import Project
    from ramer.tracking.promotion import promote

    config = load_config(Project(project).params)
    done = promote(
        project,
        os.environ,
        name=name or config.serve.model,
        version=version,
        experiment=config.tracking.experiment,
        settings=config.report,
    )
    told = f"models:/{done.name}@champion: version {done.version}"
    if done.previous == done.version:
        typer.echo(f"{told} already, nothing to do")
        return
    if done.previous is None:
        typer.echo(f"{told} (there was none before)")
        return
    told += f" (was version {done.previous}): "
    if done.comparison is None:
        typer.echo(f"{told}the same model, not compared with its other database")
        return
    c = done.comparison
    points = f"{signed(c.difference)} points [{signed(c.low)}, {signed(c.high)}]"
    typer.echo(f"{told}avg6 weighted F1 {points}")
