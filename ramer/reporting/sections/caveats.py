"""What limits the figures."""

from __future__ import annotations

from ramer.reporting import words
from ramer.reporting.sections.report_section import Content, Inputs, Section


def _content(page: Inputs) -> Content:
    return {"caveats": words.caveats(page.results, page.clusters, page.settings.report.draws, page.findings.alpha)}


SECTION = Section("caveats", "Caveats", _content)
