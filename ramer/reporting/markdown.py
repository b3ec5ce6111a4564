"""The comparison of methods as a Markdown table, for notes, papers' supplements and ``docs/results.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ramer.reporting.choice import Choice
from ramer.reporting.score_table import Line, ScoreTable, score_table


def markdown_table(summary: Mapping[str, Any], choice: Choice = Choice()) -> str:  # noqa: B008  # frozen
    """Scores in points per method and condition, best avg6 first, with the difference to the reference.

    Args:
        summary: the content of ``results/summary.json``.
        choice: of methods, metrics and conditions.

    Raises:
        RamerError: the choice cannot be shown; one line per fault.
    """
    table = score_table(summary, choice)
    difference = f"{table.compared_head} against `{table.reference}` [{table.interval}]"
    against = [] if table.compared is None else [difference, "p"]
    heads = ["method", *table.heads, *against]
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1)]
    lines += [_cells(table, line) for line in table.lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cells(table: ScoreTable, line: Line) -> list[str]:
    cells = [f"`{line.name}`" + ("" if line.deployable else " †")]
    for cell in line.cells:
        text = f"{cell.mean} ± {cell.std}" if cell.std else cell.mean or "-"
        cells.append(f"**{text}**" if cell.best else text)
    if table.compared is None:
        return cells
    if line.against is None:
        return [*cells, "reference" if line.name == table.reference else "", ""]
    difference, low, high, p = line.against
    return [*cells, f"{difference} [{low}, {high}]", p]
