"""The comparison of methods as CSV: fractions in full, for whoever draws or counts on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from ramer.reporting.choice import Choice
from ramer.reporting.score_table import score_table

_SCORED = ("method", "deployable", "metric", "condition", "mean", "std", "score_low", "score_high")
_COMPARED = ("difference", "low", "high", "p", "p_holm")


def csv_table(summary: Mapping[str, Any], choice: Choice = Choice()) -> str:  # noqa: B008  # frozen
    """One line per method, metric and condition: mean and spread over seeds, and the difference to the reference.

    ``score_low`` and ``score_high`` are the interval of the mean, ``low`` and ``high`` that of the difference; empty
    where none is drawn: for metrics that do not follow from counts, single rates of missingness and ratios.

    Args:
        summary: the content of ``results/summary.json``.
        choice: of methods, metrics and conditions.

    Raises:
        RamerError: the choice cannot be shown; one line per fault.
    """
    table = score_table(summary, choice)
    found = {(c["method"], c["metric"], c["condition"]): c for c in summary["comparisons"]}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_SCORED, "reference", *_COMPARED])
    for line in table.lines:
        for (metric, condition), cell in zip(table.columns, line.cells, strict=True):
            compared = found.get((line.name, metric, condition), {})
            interval = cell.interval or (None, None)
            start = [line.name, str(line.deployable).lower(), metric, condition, cell.value, cell.spread]
            writer.writerow([*start, *interval, compared.get("reference"), *(compared.get(key) for key in _COMPARED)])
    return text.getvalue()
