"""``summary.json`` and ``headline.json``: all scores, and every method against the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ramer.evaluation.bootstrap import Comparison
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION
from ramer.reporting.results import Results, scored_keys


def build_summary(
    results: Results, reference: str, comparisons: list[Comparison], scenarios: Sequence[str] = ()
) -> dict[str, Any]:
    """The content of ``summary.json``: reference, conditions, scenarios, methods with mean and std, comparisons."""
    methods: dict[str, Any] = {}
    for name, method in results.methods.items():
        methods[name] = {"deployable": bool(method.description.deployable)}
        for key in scored_keys(scenarios):
            condition, metric = key.split("/")
            score = {"mean": method.metrics[key], "std": method.metrics[f"{key}_std"]}
            methods[name].setdefault(condition, {})[metric] = score
    return {
        "reference": reference,
        "conditions": list(CONDITIONS),
        "scenarios": list(scenarios),
        "methods": methods,
        "comparisons": [c.as_dict() for c in comparisons],
    }


def build_headline(results: Results) -> dict[str, dict[str, float]]:
    """The content of ``headline.json``: two numbers per method, so that ``dvc exp show`` stays readable."""
    return {
        name: {f"{c}_weighted_f1": m.metrics[f"{c}/weighted_f1"] for c in (AVERAGE, FULL_CONDITION)}
        for name, m in results.methods.items()
    }
