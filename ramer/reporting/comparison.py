"""The comparison of methods: from their results to summary, headline, figures and pages."""

from __future__ import annotations

from collections.abc import Sequence

from ramer.files import atomic_directory, atomic_file, write_json
from ramer.project import Project
from ramer.reporting.explorer.explorer_page import Explored, render_explorer
from ramer.reporting.figures.drawing import draw_figures
from ramer.reporting.figures.style import method_colors
from ramer.reporting.findings import find
from ramer.reporting.method_cards import build_cards
from ramer.reporting.page import render_page
from ramer.reporting.plot_data import write_plot_data
from ramer.reporting.results import ReportSettings
from ramer.reporting.scored import score_methods
from ramer.reporting.sections.report_section import Inputs
from ramer.reporting.sets import sets_held
from ramer.reporting.summary import build_headline


def compare_methods(
    project: Project, methods: Sequence[str], settings: ReportSettings, out: Project | None = None
) -> None:
    """Compare methods by their results; nothing is written unless everything could be read.

    Args:
        project: with the results of the methods and all that they came from.
        methods: names, in the order of their colours.
        settings: the sections of the parameters that a report follows.
        out: the project that receives summary, headline, cards, plots and their data, page and explorer; the same one
            if None.

    Raises:
        StaleError: a file is absent, torn or does not fit the others; one line per fault.
    """
    out = out or project
    scored = score_methods(project, methods, settings)
    settings, found, bootstrap, summary = scored.settings, scored.results, scored.bootstrap, scored.summary()
    findings = find(found, bootstrap)
    colors = method_colors(list(methods))
    figures = draw_figures(settings, found, summary, findings, colors)
    images = {name: drawn.png for name, drawn in figures.items()}
    sets = sets_held(found, settings.report, bootstrap.clusters)
    page = render_page(Inputs(settings, found, summary, findings, bootstrap.clusters, images, colors, sets))
    explorer = render_explorer(Explored(project, found, findings, bootstrap, settings.report.coverage))
    write_json(out.summary, summary)
    write_json(out.headline, build_headline(found))
    if settings.evaluated is None:  # a card is of what a pipeline trained
        build_cards(project, scored, findings, sets).write(out.cards)
    write_plot_data(found, bootstrap, out.plot_data)
    with atomic_directory(out.plots) as folder:
        for name, drawn in figures.items():
            (folder / f"{name}.png").write_bytes(drawn.png)
            (folder / f"{name}.pdf").write_bytes(drawn.pdf)
    for path, text in ((out.report, page), (out.explorer, explorer)):
        with atomic_file(path) as temporary:
            temporary.write_text(text, "utf-8")
