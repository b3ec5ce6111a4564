"""``ramer report``: the comparison on the terminal, as a table for a paper, or its page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ramer.commands import options
from ramer.starting import check_printing
from ramer.targets import file_target


def report(
    project: options.Project = Path("."),
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the comparison as a Markdown table.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print it as a LaTeX table (booktabs).")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print it as CSV, fractions in full.")] = False,
    methods: Annotated[str | None, typer.Option(help="With a table: these methods, as ramer,zero_fill.")] = None,
    metrics: Annotated[str | None, typer.Option(help="With a table: these metrics, as weighted_f1,uar.")] = None,
    conditions: Annotated[str | None, typer.Option(help="With a table: these columns, as avg6,avt,a.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Copy the page to this file, with date, commit, versions and costs.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open such a copy in the browser.")] = False,
) -> None:
    """Print the comparison of all methods, copy or open the report."""
    from rich.console import Console

    from ramer.errors import RamerError, StaleError
    from ramer.files import read_json
    from ramer.pipeline.stamped_report import copy_report
    from ramer.project import Project
    from ramer.reporting.choice import Choice, left_out, split_names
    from ramer.reporting.comma_separated import csv_table
    from ramer.reporting.latex import latex_table
    from ramer.reporting.markdown import markdown_table
    from ramer.reporting.tables import TABLE_WIDTH, comparison_tables

    check_printing()
    if html is not None:
        file_target(html)
    paths = Project(project)
    summary, page = paths.summary, paths.report
    for path in (summary, page):
        if not path.is_file():
            raise RamerError(f"{path}: no such file; run `dvc repro` first, or name the project with --project")
    formats = {"--markdown": (markdown, markdown_table), "--latex": (latex, latex_table), "--csv": (csv, csv_table)}
    asked = [(name, write) for name, (wanted, write) in formats.items() if wanted]
    choice = Choice(split_names(methods), split_names(metrics), split_names(conditions))
    if len(asked) > 1:
        raise RamerError(f"expected one of {', '.join(formats)}, got {' and '.join(name for name, _ in asked)}")
    if choice != Choice() and not asked:
        raise RamerError(f"--methods, --metrics and --conditions choose from a table: add one of {', '.join(formats)}")
    # Off a terminal rich assumes 80 columns, which would cut the intervals off.
    console = Console(width=None if Console().is_terminal else TABLE_WIDTH)
    try:
        held = read_json(summary)
        text = asked[0][1](held, choice) if asked else ""
        notes = left_out(held, choice) if asked else []
        tables = [] if asked else comparison_tables(held, console.width)
        names = list(held["methods"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StaleError(f"{summary}: torn, or of another version ({type(error).__name__})", summary) from None
    if asked:
        for note in notes:
            typer.echo(note, err=True)
        typer.echo(text, nl=False)
    else:
        console.print(*tables)
        typer.echo(f"report: {page}")
    if html or open_page:
        copy = copy_report(paths, names, html or paths.report_copy)
        typer.echo(f"report with date, commit and costs: {copy}", err=True)
        if open_page:
            typer.launch(str(copy.resolve()))
