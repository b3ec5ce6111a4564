"""The report stage's one function: from the methods' results to summary, headline, figures and page."""

from __future__ import annotations

import logging
from pathlib import Path

from ramer.config import Config
from ramer.evaluation.bootstrap import Bootstrap, choose_reference
from ramer.evaluation.scenarios import scenarios
from ramer.files import atomic_directory, atomic_file, write_json
from ramer.modalities import AVERAGE
from ramer.reporting import plots
from ramer.reporting.findings import SCORE, Findings, find, neighbour_purity
from ramer.reporting.page import confusion_methods, render_page, trained_by_epochs
from ramer.reporting.results import Results, read_results
from ramer.reporting.summary import build_headline, build_summary

logger = logging.getLogger(__name__)


def report(
    config: Config,
    results: Path,
    prepared: Path,
    neighbours: Path,
    encoders: Path,
    methods_models: Path,
    out: Path,
) -> None:
    """Compare the methods listed in ``config.methods``; nothing is written unless everything could be read.

    Args:
        results, methods_models: folders with one folder per method: what ``evaluate`` and ``train`` wrote.
        prepared: the prepared corpus. neighbours, encoders: folders with one folder per modality.
        out: receives ``summary.json``, ``headline.json``, ``plots/`` and ``report.html``.

    Raises:
        RamerError: a file is absent, torn or does not fit the others; one line per fault.
    """
    ways = scenarios(config.evaluate)
    names = [way.name for way in ways]
    found = read_results(config.methods, results, prepared, neighbours, encoders, methods_models, names)
    bootstrap = Bootstrap(
        {name: method.predictions for name, method in found.methods.items()},
        found.groups,
        found.label_names,
        unit=found.corpus.get("group_name") or "speaker",
        draws=config.report.draws,
        confidence=config.report.confidence,
        seed=config.report.seed,
        scenarios=[way for way in ways if not way.on_curve],
    )
    asked = config.report.reference
    reference = choose_reference(found.descriptions) if asked == "best_baseline" else asked
    logger.info("reference: %s; resampled: %d %ss", reference, bootstrap.clusters.size, bootstrap.clusters.unit)
    summary = build_summary(found, reference, bootstrap.compare(reference), names)
    findings = find(found, bootstrap)
    colors = plots.method_colors(list(config.methods))
    figures = draw_figures(config, found, summary, findings, colors)
    page = render_page(config, found, summary, findings, bootstrap.clusters, figures, colors)
    write_json(out / "summary.json", summary)
    write_json(out / "headline.json", build_headline(found))
    with atomic_directory(out / "plots") as folder:
        for name, data in figures.items():
            (folder / f"{name}.png").write_bytes(data)
    with atomic_file(out / "report.html") as temporary:
        temporary.write_text(page, "utf-8")


def draw_figures(
    config: Config, results: Results, summary: dict, findings: Findings, colors: dict[str, str]
) -> dict[str, bytes]:
    """PNG bytes by name; a figure that would be empty is left out."""
    order = sorted(results.methods, key=lambda n: -results.methods[n].metrics[f"{AVERAGE}/{SCORE}"])
    shown = confusion_methods(results, findings, summary["reference"], config.serve.method)
    figures = {
        "conditions": plots.bars(summary, order, colors),
        "confusion": plots.confusions({n: results.methods[n].confusion for n in shown}, results.label_names),
    }
    if len(order) > 1:
        figures["differences"] = plots.forest(summary["comparisons"], summary["reference"], order, colors)
    rates = sorted(config.evaluate.missing_rates)
    if len(rates) > 1:
        figures["rates"] = plots.rate_curves(summary, rates, order, colors)
    encoders = trained_by_epochs(results.encoders, "val_weighted_f1")
    if encoders:
        figures["encoders"] = plots.encoder_curves(encoders)
    methods = trained_by_epochs({n: m.history for n, m in results.methods.items()}, "val_selection")
    if methods:
        figures["training"] = plots.method_curves(methods, colors)
    purity = neighbour_purity(results)
    if purity:
        figures["purity"] = plots.purity(purity)
    return figures
