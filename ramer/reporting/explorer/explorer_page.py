"""The page: what is known, packed, with the script that shows it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from ramer.evaluation.bootstrap import COLUMNS, Bootstrap
from ramer.evaluation.lent import read_lent
from ramer.files import read_table
from ramer.modalities import CONDITIONS, LETTERS, MODALITIES
from ramer.project import Project
from ramer.reporting.explorer.answers import answers, differences, set_sizes
from ramer.reporting.explorer.arrays import numbers, packed
from ramer.reporting.explorer.lenders import lenders
from ramer.reporting.explorer.shown_clips import REASONS, Clips, choose_clips
from ramer.reporting.explorer.state_map import state_map
from ramer.reporting.findings import BOUNDS, Findings, control_of
from ramer.reporting.results import Results

MOST_BYTES = 5_000_000
SCRIPTS = ("arrays", "data", "address", "elements", "filters", "clips", "clip", "versus", "risk", "map", "main")


@dataclass(frozen=True)
class Explored:
    """What the explorer is made of.

    Attributes:
        project: for states and lent clips, which the report itself does not need.
        coverage: of the sets of classes.
    """

    project: Project
    results: Results
    findings: Findings
    bootstrap: Bootstrap
    coverage: float = 0.9


def render_explorer(explored: Explored, most_bytes: int = MOST_BYTES) -> str:
    """The page as text; the same results always give the same text.

    A corpus whose clips do not fit is shown by a sample of its test rows, and the page says so.

    Args:
        most_bytes: that the page may have.
    """
    tables = {name: method.predictions for name, method in explored.results.methods.items()}
    rows = read_table(explored.project.prepared / "rows.parquet")
    lent = {name: read_lent(explored.project.method_results(name)) for name in tables}
    held = {name: table for name, table in lent.items() if table is not None}
    most, labels = next(iter(tables.values()))["id"].nunique(), explored.results.label_names
    while True:
        clips = choose_clips(next(iter(tables.values())), rows, labels, explored.bootstrap.clusters, most)
        page = _render(explored, _data(explored, clips, rows, held))
        size = len(page.encode())
        if size <= most_bytes or most <= 1:
            return page
        most = max(1, min(most - 1, int(0.95 * most * most_bytes / size)))


def _data(explored: Explored, clips: Clips, rows: pd.DataFrame, lent: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    results, about = explored.results, explored.results.descriptions
    methods = [
        {
            "name": name,
            "deployable": about[name].deployable,
            "bound": about[name].type in BOUNDS,
            "control": control_of(about, name) if about[name].retrieval else None,
        }
        for name in about
    ]
    tables = {name: results.methods[name].predictions for name in about}
    return {
        "corpus": results.corpus.name,
        "labels": results.label_names,
        "conditions": list(CONDITIONS),
        "columns": list(COLUMNS),
        "modalities": list(MODALITIES),
        "letters": [LETTERS[m] for m in MODALITIES],
        "reasons": list(REASONS),
        "group": results.corpus.group_name or "speaker",
        "groups": clips.group_names,
        "seeds": len(results.seeds),
        "total": clips.total,
        "confidence": explored.bootstrap.confidence,
        "unit": explored.bootstrap.clusters.unit,
        "notes": list(explored.bootstrap.clusters.notes),
        "first": _first_methods(explored.findings, list(about)),
        "methods": methods,
        "ids": list(clips.ids),
        "label": packed(numbers(clips.labels)),
        "fold": packed(numbers(clips.folds)),
        "speaker": packed(numbers(clips.groups)),
        "cluster": packed(numbers(clips.clusters)),
        "lacks": packed(clips.reasons),
        "answers": answers(tables, clips, results.label_names),
        "coverage": explored.coverage,
        "sets": set_sizes(results, list(about), clips, explored.coverage),
        "differences": differences(explored.bootstrap, list(about)),
        "lent": lenders(lent, rows, clips),
        "map": state_map(explored.project, clips),
    }


def _first_methods(findings: Findings, names: list[str]) -> list[str]:
    """The two that are shown first: retrieval and the best without it, else the best and whatever else there is."""
    first = findings.retrieval or findings.best
    others = [n for n in (findings.baseline, findings.best, *names) if n != first]
    return [first, others[0] if others else first]


def _render(explored: Explored, data: Mapping[str, Any]) -> str:
    script = "\n".join(_source(f"{name}.js") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();\n'
    style = f"\n{_source('explorer.css')}"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    # A closing tag inside the data would end it: no angle bracket survives as itself.
    held = json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return environment.from_string(_source("explorer.html.j2")).render(
        title=explored.results.corpus.name,
        script=Markup(script),
        script_digest=_digest(script),
        style=Markup(style),
        style_digest=_digest(style),
        data=Markup(held.replace("<", "\\u003c").replace(">", "\\u003e")),
    )


def _digest(text: str) -> str:
    """By which the policy knows the one script and the one style that may run."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _source(name: str) -> str:
    return resources.files("ramer.reporting.explorer").joinpath(name).read_text("utf-8")
