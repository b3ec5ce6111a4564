"""How often a set of emotions holds the true one, and how many emotions it takes."""

from __future__ import annotations

from ramer.modalities import CONDITIONS
from ramer.reporting.sections.report_section import Content, Inputs, Section


def _content(page: Inputs) -> Content | None:
    rows = [{"name": name, "cells": page.sets[name]} for name in page.order if name in page.sets]
    if not rows:
        return None
    return {
        "columns": list(CONDITIONS),
        "rows": rows,
        "coverage": page.settings.report.coverage,
        "folds_many": len(page.results.folds) > 1,
    }


SECTION = Section("sets", "Sets", _content)
