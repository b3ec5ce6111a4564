"""``report.html``: one file that opens offline, with its style and figures inside."""

from __future__ import annotations

import base64
from importlib import resources

import jinja2
from markupsafe import Markup

from ramer.evaluation.points import counted, points, signed
from ramer.modalities import AVERAGE, CONDITIONS
from ramer.reporting import words
from ramer.reporting.evaluation_words import evaluation_verdict
from ramer.reporting.findings import BAYES, SCORE
from ramer.reporting.sections.order import SECTIONS
from ramer.reporting.sections.report_section import Inputs
from ramer.reporting.tables import p_text


def render_page(page: Inputs) -> str:
    """The page as text; the same results always give the same text."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"points": points, "signed": signed, "p": p_text, "counted": counted}
    environment.globals |= _shared(page)
    found = [
        (section, section.content(page))
        for section in SECTIONS
        if not (section.of_training and page.settings.evaluated)
    ]
    held = [(section, content) for section, content in found if content is not None]
    parts = [environment.get_template(f"sections/{s.template}").render(**content) for s, content in held]
    findings, metrics = page.findings, page.results.methods
    return environment.get_template("report.html.j2").render(
        style=_source("report.css"),
        verdict=_verdict(page),
        caution=words.resampling_caution(page.clusters),
        gain=None if page.settings.evaluated else findings.retrieval_gain.get(AVERAGE),
        best_score=metrics[findings.best].metrics[f"{AVERAGE}/{SCORE}"],
        oracle=metrics[findings.oracle].metrics[f"{AVERAGE}/{SCORE}"] if findings.oracle else None,
        bound=page.summary.get("bounds", {}).get(BAYES),
        synthetic=page.results.corpus.provenance.get("kind") == "synthetic",
        sections=[(section, part) for (section, _), part in zip(held, parts, strict=True)],
    )


def _verdict(page: Inputs) -> list[Markup]:
    """The sentences that a reader sees first."""
    confidence, model = page.settings.report.confidence, page.settings.evaluated
    if model is None:
        return words.verdict(page.results, page.findings, confidence, page.clusters)
    against = page.differences.get(model.method, {}).get(AVERAGE)
    return evaluation_verdict(page.results, model, against, confidence, page.clusters)


def _shared(page: Inputs) -> dict[str, object]:
    """What every section's template may use."""
    return {
        "page": page,
        "evaluated": page.settings.evaluated,
        "findings": page.findings,
        "about": page.results.descriptions,
        "reference": page.summary["reference"],
        "label_names": page.results.label_names,
        "seeds": page.results.seeds,
        "folds": len(page.results.folds),
        "clusters": page.clusters,
        "group": page.group,
        "confidence": round(100 * page.settings.report.confidence),
        "draws": page.settings.report.draws,
        "figures": {name: base64.b64encode(data).decode("ascii") for name, data in page.figures.items()},
        "colors": page.colors,
        "conditions": {c: words.condition_words(c) for c in CONDITIONS},
    }


def _source(name: str) -> str:
    return resources.files("ramer.reporting").joinpath(*name.split("/")).read_text("utf-8")
