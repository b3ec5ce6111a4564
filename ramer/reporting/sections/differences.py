"""Every method against the reference."""

from __future__ import annotations

from ramer.evaluation.model_cards import SHOWN_CONDITIONS
from ramer.reporting.sections.report_section import Content, Inputs, Section


def _content(page: Inputs) -> Content:
    return {
        "columns": SHOWN_CONDITIONS,
        "rows": {name: page.differences[name] for name in page.order if name in page.differences},
        "chosen_reference": page.settings.report.reference == "best_baseline",
    }


SECTION = Section("differences", "Differences", _content)
