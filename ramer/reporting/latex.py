"""The comparison of methods as a LaTeX table with booktabs, ready to be pasted into a paper."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from ramer.reporting.score_table import Choice, Line, ScoreTable, metric_names, score_table

_SPECIAL = {
    "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "<": "$<$", "±": r"$\pm$",  # noqa: RUF001
}  # fmt: skip


def latex_table(summary: Mapping[str, Any], choice: Choice = Choice()) -> str:  # noqa: B008  # frozen
    r"""A ``table`` environment; the preamble needs ``\usepackage{booktabs}``.

    Args:
        summary: the content of ``results/summary.json``.
        choice: of methods, metrics and conditions.

    Raises:
        RamerError: an unknown method, metric or condition.
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
    """Text that LaTeX prints as it stands.

    Example:
        >>> escaped("mean_fill 50%")
        'mean\\\\_fill 50\\\\%'
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _caption(table: ScoreTable) -> str:
    said = f"{', '.join(metric_names(table))} on the test rows, in points"
    if table.seeds > 1:
        said += rf"; mean over {table.seeds} seeds, $\pm$ its spread"
    said = said[0].upper() + said[1:] + ". Bold: the best deployable method of the column."
    if any(not line.deployable for line in table.lines):
        said += r" $\dagger$: cannot be deployed."
    if table.compared:
        interval = r"with the interval of a bootstrap over test clusters, and $p$ after Holm's correction"
        said += rf" $\Delta$: {table.compared[1]} against {escaped(table.reference)}, {interval}."
    return said


def _heads(table: ScoreTable) -> list[str]:
    """One line of conditions, and above it one of metrics where there are several."""
    conditions = [escaped(head.split()[0]) for head in table.heads]
    against = [r"$\Delta$", "$p$"] if table.compared else []
    lines = [" & ".join(["method", *conditions, *against]) + r" \\"]
    groups = [(metric, len(list(held))) for metric, held in groupby(m for m, _ in table.columns)]
    if len(groups) > 1:
        names = dict(zip(dict.fromkeys(m for m, _ in table.columns), metric_names(table), strict=True))
        above, rules, start = [""], [], 2
        for metric, width in groups:
            above.append(rf"\multicolumn{{{width}}}{{c}}{{{names[metric]}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines = [" & ".join([*above, *[""] * len(against)]) + r" \\", " ".join(rules), *lines]
    return lines


def _line(table: ScoreTable, line: Line) -> str:
    cells = [escaped(line.name) + ("" if line.deployable else r"$^\dagger$")]
    for cell in line.cells:
        text = rf"{cell.mean} $\pm$ {cell.std}" if cell.std else cell.mean or "--"
        if cell.best:
            text = rf"\textbf{{{cell.mean}}}" + (rf" $\pm$ {cell.std}" if cell.std else "")
        cells.append(text)
    if table.compared and line.against is None:
        cells += ["reference" if line.name == table.reference else "", ""]
    elif line.against is not None:
        difference, low, high, p = map(escaped, line.against)
        cells += [f"{difference} [{low}, {high}]", p]
    return " & ".join(cells) + r" \\"
