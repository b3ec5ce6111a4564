"""The comparison of methods: from their results to summary, headline, figures and page."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ramer.config import Synthetic
from ramer.data.bayes import bayes_predictions
from ramer.evaluation.bootstrap import Bootstrap
from ramer.evaluation.predictions import score_predictions
from ramer.evaluation.reference import choose_reference
from ramer.evaluation.scenarios import scenarios
from ramer.files import atomic_directory, atomic_file, write_json
from ramer.modalities import AVERAGE
from ramer.project import Project
from ramer.reporting import plots
from ramer.reporting.confusion_plots import confusions
from ramer.reporting.curve_plots import encoder_curves, method_curves, rate_curves
from ramer.reporting.findings import BAYES, SCORE, Findings, find, neighbour_purity
from ramer.reporting.page import confusion_methods, render_page, trained_by_epochs
from ramer.reporting.plot_style import method_colors
from ramer.reporting.results import ReportSettings, Results, read_results
from ramer.reporting.summary import build_headline, build_summary

logger = logging.getLogger(__name__)


def compare_methods(
    project: Project, methods: Sequence[str], settings: ReportSettings, out: Project | None = None
) -> None:
    """Compare methods by their results; nothing is written unless everything could be read.

    Args:
        project: with the results of the methods and all that they came from.
        methods: names, in the order of their colours.
        settings: the sections of the parameters that a report follows.
        out: the project that receives summary, headline, plots and page; the same one if None.

    Raises:
        StaleError: a file is absent, torn or does not fit the others; one line per fault.
    """
    out = out or project
    ways = scenarios(settings.evaluate)
    names = [way.name for way in ways]
    found = read_results(project, methods, names)
    options = settings.report
    bootstrap = Bootstrap(
        {name: method.predictions for name, method in found.methods.items()},
        found.groups,
        found.label_names,
        unit=found.corpus.get("group_name") or "speaker",
        draws=options.draws,
        confidence=options.confidence,
        seed=options.seed,
        scenarios=[way for way in ways if not way.on_curve],
    )
    best = options.reference == "best_baseline"
    reference = choose_reference(found.descriptions) if best else options.reference
    logger.info("reference: %s; resampled: %d %ss", reference, bootstrap.clusters.size, bootstrap.clusters.unit)
    bounds = bounds_of(found, settings.evaluate.ece_bins)
    summary = build_summary(found, reference, bootstrap.compare(reference), names, bounds)
    findings = find(found, bootstrap)
    colors = method_colors(list(methods))
    figures = draw_figures(settings, found, summary, findings, colors)
    page = render_page(settings, found, summary, findings, bootstrap.clusters, figures, colors)
    write_json(out.summary, summary)
    write_json(out.headline, build_headline(found))
    with atomic_directory(out.plots) as folder:
        for name, data in figures.items():
            (folder / f"{name}.png").write_bytes(data)
    with atomic_file(out.report) as temporary:
        temporary.write_text(page, "utf-8")


def bounds_of(results: Results, ece_bins: int) -> dict[str, dict[str, float]]:
    """What no method can beat, scored on the same test rows: Bayes' rule where the corpus is generated, else nothing.

    Raises:
        RamerError: a row is not one of the generated corpus.
    """
    knobs = results.corpus.get("provenance", {}).get("knobs")
    if knobs is None:
        return {}
    table = next(iter(results.methods.values())).predictions
    predicted = bayes_predictions(Synthetic.model_validate(knobs), table)
    return {BAYES: score_predictions(predicted, results.label_names, ece_bins)}


def draw_figures(
    settings: ReportSettings, results: Results, summary: dict, findings: Findings, colors: dict[str, str]
) -> dict[str, bytes]:
    """PNG bytes by name; a figure that would be empty is left out."""
    order = sorted(results.methods, key=lambda n: -results.methods[n].metrics[f"{AVERAGE}/{SCORE}"])
    shown = confusion_methods(results, findings, summary["reference"], settings.served)
    figures = {
        "conditions": plots.bars(summary, order, colors),
        "confusion": confusions({n: results.methods[n].confusion for n in shown}, results.label_names),
    }
    if len(order) > 1:
        figures["differences"] = plots.forest(summary["comparisons"], summary["reference"], order, colors)
    rates = sorted(settings.evaluate.missing_rates)
    if len(rates) > 1:
        figures["rates"] = rate_curves(summary, rates, order, colors)
    encoders = trained_by_epochs(results.encoders, "val_weighted_f1")
    if encoders:
        figures["encoders"] = encoder_curves(encoders)
    methods = trained_by_epochs({n: m.history for n, m in results.methods.items()}, "val_selection")
    if methods:
        figures["training"] = method_curves(methods, colors)
    purity = neighbour_purity(results)
    if purity:
        figures["purity"] = plots.purity(purity)
    return figures
