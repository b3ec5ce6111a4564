"""``ramer report``: the comparison on the terminal, or its page in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ramer.commands import options


def report(
    project: options.Project = Path("."),
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the comparison as a Markdown table.")] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
) -> None:
    """Print the comparison of all methods, or open the report."""
    from rich.console import Console

    from ramer.errors import RamerError, StaleError
    from ramer.files import read_json
    from ramer.project import Project
    from ramer.reporting.markdown import markdown_table
    from ramer.reporting.tables import TABLE_WIDTH, comparison_tables

    paths = Project(project)
    summary, page = paths.summary, paths.report
    for path in (summary, page):
        if not path.is_file():
            raise RamerError(f"{path}: no such file; run `dvc repro` first, or name the project with --project")
    # Off a terminal rich assumes 80 columns, which would cut the intervals off.
    console = Console(width=None if Console().is_terminal else TABLE_WIDTH)
    try:
        held = read_json(summary)
        text = markdown_table(held) if markdown else ""
        tables = [] if markdown else comparison_tables(held, console.width)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StaleError(f"{summary}: torn, or of another version ({type(error).__name__})", summary) from None
    if markdown:
        typer.echo(text, nl=False)
        return
    console.print(*tables)
    typer.echo(f"report: {page}")
    if open_page:
        typer.launch(str(page.resolve()))
