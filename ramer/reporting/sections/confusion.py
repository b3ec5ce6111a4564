"""What is mistaken for what: matrices as tables, whose class names a browser can write in any script."""

from __future__ import annotations

from typing import Any

import numpy as np

from ramer.modalities import FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.figures.fonts import key
from ramer.reporting.findings import shown_methods
from ramer.reporting.sections.report_section import Content, Inputs, Section

_SHADES = 10


def _content(page: Inputs) -> Content:
    names = shown_methods(page.results, page.findings, page.summary["reference"], page.settings.served)
    return {
        "numbered": key(page.results.label_names),
        "matrices": [_of_method(name, page.results.methods[name].confusion) for name in names],
    }


def _of_method(name: str, counts: dict[str, np.ndarray]) -> dict[str, Any]:
    missing = np.sum([counts[c] for c in MISSING_CONDITIONS], axis=0)
    return {"name": name, "full": _cells(counts[FULL_CONDITION]), "missing": _cells(missing)}


def _cells(counts: np.ndarray) -> list[list[dict[str, int] | None]]:
    """Percent of the true class and its shade, 0 to 10; None throughout a row that no test row is in."""
    rows = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(rows, 1)
    return [
        [{"percent": round(100 * v), "shade": round(_SHADES * v)} if held else None for v in line]
        for line, held in zip(share, rows[:, 0] > 0, strict=True)
    ]


SECTION = Section("confusion", "Confusion", _content)
