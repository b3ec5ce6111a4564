"""A pool that grows after training, for methods that search it by keys of their own."""

from __future__ import annotations

from ramer.reporting.sections.report_section import Content, Inputs, Section


def _content(page: Inputs) -> Content | None:
    curves = page.summary.get("pool", {})
    if not curves:
        return None
    late = {name: page.results.descriptions[name].options.get("pool") == "late" for name in curves}
    return {"curves": curves, "late": late}


SECTION = Section("pool", "A growing pool", _content)
