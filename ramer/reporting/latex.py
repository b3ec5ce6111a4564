"""The comparison of methods as a LaTeX table with booktabs, ready to be pasted into a paper."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from ramer.reporting.choice import Choice, condition_head
from ramer.reporting.score_table import Cell, Line, ScoreTable, score_table
from ramer.reporting.tables import metric_words

_SPECIAL = {
    "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}", "<": "$<$", ">": "$>$",
    # The marks of our own text.
    "−": "$-$", "±": r"$\pm$", "†": r"$^\dagger$", "Δ": r"$\Delta$",  # noqa: RUF001
}  # fmt: skip


def latex_table(summary: Mapping[str, Any], choice: Choice = Choice()) -> str:  # noqa: B008  # frozen
    r"""A ``table`` environment; the preamble needs ``\usepackage{booktabs}``.

    Args:
        summary: the content of ``results/summary.json``.
        choice: of methods, metrics and conditions.

    Raises:
        RamerError: the choice cannot be shown; one line per fault.
    """
    table = score_table(summary, choice)
    extra = 2 if table.compared else 0
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(table)}}}",
        r"\label{tab:ramer}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) + extra)}}}",
        r"\toprule",
        *_heads(table),
        r"\midrule",
        *(_line(table, line) for line in table.lines),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that LaTeX prints as it stands, in one line; whatever is not a command of ours goes through this.

    Example:
        >>> escaped("mean_fill 50%")
        'mean\\\\_fill 50\\\\%'
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def _caption(table: ScoreTable) -> str:
    said = f"{', '.join(table.metrics)} on the test rows, in points"
    cells = [cell for line in table.lines for cell in line.cells]
    if table.seeds > 1:
        said += f"; mean over {table.seeds} seeds{', ± its spread' * any(cell.std for cell in cells)}"
    said = said[:1].upper() + said[1:] + "."
    if any(cell.best for cell in cells):
        said += " Bold: the best deployable method of the column."
    if any(not line.deployable for line in table.lines):
        said += " †: cannot be deployed."
    if table.compared:
        said += (
            f" Δ: {table.compared_head} against {table.reference}, with the {table.interval} of a bootstrap over test "
            "clusters, and p after Holm's correction."
        )
    return escaped(said)


def _heads(table: ScoreTable) -> list[str]:
    """One line of conditions, and above it one of metrics where there are several."""
    conditions = [escaped(condition_head(condition)) for _, condition in table.columns]
    against = [escaped("Δ"), "$p$"] if table.compared else []
    lines = [_row(["method", *conditions, *against])]
    groups = [(metric, len(list(held))) for metric, held in groupby(m for m, _ in table.columns)]
    if len(groups) > 1:
        above, rules, start = [""], [], 2
        for metric, width in groups:
            above.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(metric_words(metric))}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines = [_row([*above, *[""] * len(against)]), " ".join(rules), *lines]
    return lines


def _line(table: ScoreTable, line: Line) -> str:
    cells = [escaped(line.name + "†" * (not line.deployable)), *map(_score, line.cells)]
    if line.against is not None:
        difference, low, high, p = line.against
        cells += [escaped(f"{difference} [{low}, {high}]"), escaped(p)]
    elif table.compared:
        cells += ["reference" if line.name == table.reference else "", ""]
    return _row(cells)


def _score(cell: Cell) -> str:
    mean = escaped(cell.mean) or "--"
    shown = rf"\textbf{{{mean}}}" if cell.best else mean
    return f"{shown} {escaped(f'± {cell.std}')}" if cell.std else shown


def _row(cells: list[str]) -> str:
    # What a line begins with could be an option of the rule or of the end of the line before it.
    start = "{}" if cells[0].startswith(("[", "*")) else ""
    return start + " & ".join(cells) + r" \\"
