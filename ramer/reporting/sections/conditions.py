"""The methods under every condition, and by the other metrics."""

from __future__ import annotations

from typing import Any

from ramer.evaluation.metrics import METRICS
from ramer.evaluation.model_cards import SHOWN_CONDITIONS
from ramer.modalities import AVERAGE, FULL_CONDITION
from ramer.reporting.findings import SCORE
from ramer.reporting.sections.report_section import Content, Inputs, Section
from ramer.reporting.tables import best_deployable, metric_words


def _content(page: Inputs) -> Content:
    best = best_deployable(page.summary)
    return {
        "columns": SHOWN_CONDITIONS,
        "rows": [_row(page, name, best) for name in page.order],
        "other_metrics": other_metrics(),
    }


def _row(page: Inputs, name: str, best: dict[str, set[str]]) -> dict[str, Any]:
    method = page.results.methods[name]
    cells = {
        c: {
            "mean": method.metrics[f"{c}/{SCORE}"],
            "std": method.metrics[f"{c}/{SCORE}_std"],
            "best": name in best[c],
        }
        for c in SHOWN_CONDITIONS
    }
    full = method.metrics[f"{FULL_CONDITION}/{SCORE}"]
    return {
        "name": name,
        "validation": float(method.description.validation_selection),
        "cells": cells,
        "retained": method.metrics.get(f"retained/{SCORE}", method.metrics[f"{AVERAGE}/{SCORE}"] / (full or 1)),
        "equity": method.metrics.get(f"equity/{SCORE}", float("nan")),
        "others": {m: method.metrics[f"{AVERAGE}/{m}"] for m in other_metrics()},
    }


def other_metrics() -> dict[str, str]:
    """Heading of each metric beside the one that methods are compared by."""
    return {name: metric_words(name) for name in METRICS if name != SCORE}


SECTION = Section("conditions", "By condition", _content)
