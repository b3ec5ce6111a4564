"""What limits the figures."""

from __future__ import annotations

from ramer.reporting.limits import caveats
from ramer.reporting.sections.report_section import Content, Inputs, Section


def _content(page: Inputs) -> Content:
    settings, evaluation = page.settings, page.settings.evaluated is not None
    found = caveats(page.results, page.clusters, settings.report.draws, page.findings.alpha, evaluation)
    return {"caveats": found}


SECTION = Section("caveats", "Caveats", _content)
