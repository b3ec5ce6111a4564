"""``summary.json`` and ``headline.json``: all scores, and every method against the reference."""

from __future__ import annotations

from typing import Any

from ramer.metrics import METRICS
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION
from ramer.reporting.results import Results
from ramer.statistics import Comparison


def build_summary(results: Results, reference: str, comparisons: list[Comparison]) -> dict[str, Any]:
    """The content of ``summary.json``: reference, conditions, methods with mean and std, comparisons."""
    methods: dict[str, Any] = {}
    for name, method in results.methods.items():
        methods[name] = {"deployable": bool(method.description["deployable"])}
        for condition in (*CONDITIONS, AVERAGE):
            methods[name][condition] = {
                metric: {
                    "mean": method.metrics[f"{condition}/{metric}"],
                    "std": method.metrics[f"{condition}/{metric}_std"],
                }
                for metric in METRICS
            }
    return {
        "reference": reference,
        "conditions": list(CONDITIONS),
        "methods": methods,
        "comparisons": [c.as_dict() for c in comparisons],
    }


def build_headline(results: Results) -> dict[str, dict[str, float]]:
    """The content of ``headline.json``: two numbers per method, so that ``dvc exp show`` stays readable."""
    return {
        name: {f"{c}_weighted_f1": m.metrics[f"{c}/weighted_f1"] for c in (AVERAGE, FULL_CONDITION)}
        for name, m in results.methods.items()
    }
