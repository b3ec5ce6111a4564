"""``summary.json`` and ``headline.json``: all scores, and every method against the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ramer.evaluation.bootstrap import Bootstrap, Comparison
from ramer.evaluation.count_metrics import COUNT_METRICS
from ramer.evaluation.metrics import METRICS, SELECTION_METRIC
from ramer.evaluation.predictions import RATIOS
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION
from ramer.reporting.results import Results, scored_keys


def build_summary(
    results: Results,
    reference: str,
    comparisons: list[Comparison],
    bootstrap: Bootstrap,
    scenarios: Sequence[str] = (),
    bounds: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """The content of ``summary.json``: reference, conditions, scenarios, methods with mean and std, comparisons.

    Args:
        bootstrap: what it drew has an interval beside mean and std (``low``, ``high``).
        bounds: what no method can beat, by name, with the keys of ``metrics.json``; on a generated corpus alone.
    """
    methods: dict[str, Any] = {}
    for name, method in results.methods.items():
        methods[name] = {"deployable": bool(method.description.deployable)}
        for key in (*scored_keys(scenarios), *(f"{ratio}/{SELECTION_METRIC}" for ratio in RATIOS)):
            condition, metric = key.split("/")
            score = {"mean": method.metrics.get(key), "std": method.metrics.get(f"{key}_std")}
            methods[name].setdefault(condition, {})[metric] = score
        for metric in COUNT_METRICS:
            for condition, (_, low, high) in bootstrap.scores(name, metric).items():
                methods[name][condition][metric] |= {"low": low, "high": high}
    summary: dict[str, Any] = {
        "reference": reference,
        "conditions": list(CONDITIONS),
        "scenarios": list(scenarios),
        "methods": methods,
        "comparisons": [c.as_dict() for c in comparisons],
        "folds": results.folds,
        "seeds": results.seeds,
        "confidence": bootstrap.confidence,
    }
    if bounds:
        summary["bounds"] = {name: _bound(scores) for name, scores in bounds.items()}
    return summary


def _bound(scores: Mapping[str, float]) -> dict[str, dict[str, float]]:
    return {c: {m: scores[f"{c}/{m}"] for m in METRICS} for c in (*CONDITIONS, AVERAGE)}


def build_headline(results: Results) -> dict[str, dict[str, float]]:
    """The content of ``headline.json``: two numbers per method, so that ``dvc exp show`` stays readable."""
    return {
        name: {f"{c}_weighted_f1": m.metrics[f"{c}/weighted_f1"] for c in (AVERAGE, FULL_CONDITION)}
        for name, m in results.methods.items()
    }
