"""How far the methods' confidences can be trusted."""

from __future__ import annotations

import numpy as np

from ramer.modalities import FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.reliability import mean_confidence
from ramer.reporting.sections.report_section import Content, Inputs, Section


def _content(page: Inputs) -> Content:
    rows = {}
    for name in page.order:
        method = page.results.methods[name]
        found = mean_confidence(method.predictions, page.results.label_names)
        missing = np.mean([found[c] for c in MISSING_CONDITIONS], axis=0)
        errors = method.metrics["avg6/ece"], method.metrics[f"{FULL_CONDITION}/ece"]
        rows[name] = (*missing.tolist(), errors[0], *found[FULL_CONDITION], errors[1])
    return {"rows": rows}


SECTION = Section("calibration", "Calibration", _content)
