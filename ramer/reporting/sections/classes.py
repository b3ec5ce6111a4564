"""The methods class by class, and speaker by speaker."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ramer.modalities import AVERAGE, FULL_CONDITION
from ramer.reporting.findings import shown_methods
from ramer.reporting.sections.report_section import Content, Inputs, Section
from ramer.reporting.speaker_spread import accuracy_by_group

_MOST = 6  # methods that a page of A4 has room for beside the name of a class
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def _content(page: Inputs) -> Content:
    first = shown_methods(page.results, page.findings, page.summary["reference"], page.settings.served)
    methods = list(dict.fromkeys((*first, *page.order)))[:_MOST]
    rows = _test_rows(page)
    return {
        "methods": methods,
        "class_rows": [(name, rows.get(name, 0), [_f1(page, m, name, rows) for m in methods]) for name in _names(page)],
        "speakers": _speakers(page),
    }


def _names(page: Inputs) -> list[str]:
    return page.results.label_names


def _test_rows(page: Inputs) -> dict[str, int]:
    """Test rows of each class; a class without one has no score."""
    table = next(iter(page.results.methods.values())).predictions
    counts = table.drop_duplicates("id")["label"].value_counts()
    return {str(name): int(count) for name, count in counts.items()}


def _f1(page: Inputs, method: str, name: str, rows: dict[str, int]) -> dict[str, float] | None:
    metrics = page.results.methods[method].metrics
    keys = {c: f"{c}/f1_{name}" for c in (AVERAGE, FULL_CONDITION)}
    if name not in rows or any(key not in metrics for key in keys.values()):
        return None
    return {c: metrics[key] for c, key in keys.items()}


def _speakers(page: Inputs) -> list[dict[str, Any]]:
    """Quantiles over the named speakers of each method; none where fewer than two are named."""
    scores = accuracy_by_group(page.results)
    if len(scores) < 2:
        return []
    return [{"name": n, "count": int(scores[n].count()), "at": _quantiles(scores[n])} for n in page.order]


def _quantiles(values: pd.Series) -> list[float]:
    return [float(values.quantile(q)) for q in _QUANTILES]


SECTION = Section("classes", "Classes and speakers", _content)
