"""The comparison of methods: from their results to summary, headline, figures and pages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ramer.config import Report, Synthetic
from ramer.data.bayes import bayes_predictions
from ramer.evaluation.bootstrap import Bootstrap
from ramer.evaluation.pool import pool_curve
from ramer.evaluation.predictions import score_predictions
from ramer.evaluation.reference import choose_reference
from ramer.evaluation.scenarios import scenarios
from ramer.files import atomic_directory, atomic_file, write_json
from ramer.project import Project
from ramer.reporting.explorer.explorer_page import Explored, render_explorer
from ramer.reporting.figures.drawing import draw_figures
from ramer.reporting.figures.style import method_colors
from ramer.reporting.findings import BAYES, find
from ramer.reporting.page import render_page
from ramer.reporting.results import ReportSettings, Results, read_results
from ramer.reporting.sections.report_section import Inputs
from ramer.reporting.summary import build_headline, build_summary
from ramer.training.best_method import choose_served

logger = logging.getLogger(__name__)


def compare_methods(
    project: Project, methods: Sequence[str], settings: ReportSettings, out: Project | None = None
) -> None:
    """Compare methods by their results; nothing is written unless everything could be read.

    Args:
        project: with the results of the methods and all that they came from.
        methods: names, in the order of their colours.
        settings: the sections of the parameters that a report follows.
        out: the project that receives summary, headline, plots, page and explorer; the same one if None.

    Raises:
        StaleError: a file is absent, torn or does not fit the others; one line per fault.
    """
    out = out or project
    ways = scenarios(settings.evaluate)
    names = [way.name for way in ways]
    found = read_results(project, methods, names)
    settings = replace(settings, served=choose_served(settings.served, found.descriptions))
    options = settings.report
    bootstrap = Bootstrap(
        {name: method.predictions for name, method in found.methods.items()},
        found.groups,
        found.label_names,
        unit=found.corpus.group_name or "speaker",
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
    curves = pool_curves(found, options)
    summary |= {"pool": curves} if curves else {}
    findings = find(found, bootstrap)
    colors = method_colors(list(methods))
    figures = draw_figures(settings, found, summary, findings, colors)
    images = {name: drawn.png for name, drawn in figures.items()}
    page = render_page(Inputs(settings, found, summary, findings, bootstrap.clusters, images, colors))
    explorer = render_explorer(Explored(project, found, findings, bootstrap, colors, options.coverage))
    write_json(out.summary, summary)
    write_json(out.headline, build_headline(found))
    with atomic_directory(out.plots) as folder:
        for name, drawn in figures.items():
            (folder / f"{name}.png").write_bytes(drawn.png)
            (folder / f"{name}.pdf").write_bytes(drawn.pdf)
    for path, text in ((out.report, page), (out.explorer, explorer)):
        with atomic_file(path) as temporary:
            temporary.write_text(text, "utf-8")


def pool_curves(results: Results, options: Report) -> dict[str, list[dict[str, Any]]]:
    """Per method that has a database of its own: its scores as the pool grows after training."""
    unit = results.corpus.group_name or "speaker"
    settings = {"draws": options.draws, "confidence": options.confidence, "seed": options.seed}
    return {
        name: pool_curve(method.pool, results.groups, results.label_names, unit, **settings)
        for name, method in results.methods.items()
        if method.pool is not None
    }


def bounds_of(results: Results, ece_bins: int) -> dict[str, dict[str, float]]:
    """What no method can beat, scored on the same test rows: Bayes' rule where the corpus is generated, else nothing.

    Raises:
        RamerError: a row is not one of the generated corpus.
    """
    knobs = results.corpus.provenance.get("knobs")
    if knobs is None:
        return {}
    table = next(iter(results.methods.values())).predictions
    predicted = bayes_predictions(Synthetic.model_validate(knobs), table)
    return {BAYES: score_predictions(predicted, results.label_names, ece_bins)}
