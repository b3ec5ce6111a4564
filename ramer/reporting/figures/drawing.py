"""All figures of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ramer.modalities import AVERAGE
from ramer.reporting.figures import class_figures, learning, scores, trust
from ramer.reporting.figures.style import Drawn
from ramer.reporting.findings import BOUNDS, SCORE, Findings, neighbour_purity, shown_methods
from ramer.reporting.reliability import reliability
from ramer.reporting.results import ReportSettings, Results
from ramer.reporting.speaker_spread import accuracy_by_group
from ramer.reporting.training_curves import SCORE_OF_ENCODERS, SCORE_OF_METHODS, trained_by_epochs


def draw_figures(
    settings: ReportSettings,
    results: Results,
    summary: Mapping[str, Any],
    findings: Findings,
    colors: Mapping[str, str],
) -> dict[str, Drawn]:
    """The figures by name; one that would be empty is left out."""
    about = results.descriptions
    order = sorted(results.methods, key=lambda n: -results.methods[n].metrics[f"{AVERAGE}/{SCORE}"])
    shown = shown_methods(results, findings, summary["reference"], settings.served)
    figures = {
        "conditions": scores.bars(summary, order, colors),
        "confusion": class_figures.confusions({n: results.methods[n].confusion for n in shown}, results.label_names),
    }
    if len(order) > 1:
        figures["differences"] = scores.forest(summary["comparisons"], summary["reference"], order, colors)
    rates = sorted(settings.evaluate.missing_rates)
    if len(rates) > 1:
        contenders = [n for n in order if about[n].deployable and about[n].type not in BOUNDS]
        figures["rates"] = scores.rate_curves(summary, rates, order, colors, contenders)
    if summary.get("pool"):
        figures["pool"] = scores.pool_curves(summary["pool"], colors)
    encoders = trained_by_epochs(results.encoders, SCORE_OF_ENCODERS)
    if encoders:
        figures["encoders"] = learning.encoder_curves(encoders)
    methods = trained_by_epochs({n: m.history for n, m in results.methods.items()}, SCORE_OF_METHODS)
    if methods:
        means = [n for n in methods if about[n].type == "per_condition"]
        figures["training"] = learning.method_curves(methods, colors, means)
    purity = neighbour_purity(results)
    if purity:
        figures["purity"] = class_figures.purity(purity)
    figures["reliability"] = trust.reliability_diagram(
        {n: reliability(results.methods[n].predictions, results.label_names) for n in shown}, colors
    )
    speakers = accuracy_by_group(results)
    if len(speakers) > 1:
        figures["speakers"] = trust.spread_over_groups(speakers, order, colors, results.corpus.group_name or "speaker")
    return figures
