"""Modalities that go missing at random: the curve over the rate, and rates that differ by modality."""

from __future__ import annotations

from ramer.config import Evaluate
from ramer.evaluation.scenarios import AREA, IMBALANCED, scenarios
from ramer.reporting.findings import SCORE
from ramer.reporting.sections.report_section import Content, Inputs, Section
from ramer.reporting.tables import best_of


def _content(page: Inputs) -> Content | None:
    columns = _columns(page.settings.evaluate)
    if not columns:
        return None
    methods = page.summary["methods"]
    best = best_of(page.summary, list(columns))
    rows = {
        name: {key: {**methods[name][key][SCORE], "best": name in best[key]} for key in columns} for name in page.order
    }
    return {"columns": columns, "rows": rows, "rates": page.settings.evaluate.missing_rates}


def _columns(settings: Evaluate) -> dict[str, str]:
    """Heading of each column: the area, then the imbalanced rates."""
    return {
        way.name: "area under the curve" if way.name == AREA else way.name.removeprefix(IMBALANCED).replace("_", " ")
        for way in scenarios(settings)
        if not way.on_curve
    }


SECTION = Section("random", "Missing at random", _content)
