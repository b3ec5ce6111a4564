"""``report.html``: one file that opens offline, with its style and figures inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
import pandas as pd

from ramer.config import Evaluate
from ramer.evaluation.clusters import Clusters
from ramer.evaluation.metrics import METRICS
from ramer.evaluation.scenarios import AREA, IMBALANCED, scenarios
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION, MISSING_CONDITIONS, MODALITIES
from ramer.reporting import words
from ramer.reporting.confusion_plots import confusions_stand_side_by_side
from ramer.reporting.findings import BAYES, SCORE, Findings, neighbour_purity
from ramer.reporting.fonts import key
from ramer.reporting.results import ReportSettings, Results
from ramer.reporting.tables import best_deployable, p_text, points, signed

SPEAKER_COLUMNS = (
    ("with_exclusion", "as retrieved"),
    ("without_exclusion", "without exclusion"),
    ("speaker_chance", "by chance"),
)
_HEADINGS = {"uar": "UAR", "ece": "ECE"}
TABLE_COLUMNS = (*MISSING_CONDITIONS, AVERAGE, FULL_CONDITION)


def render_page(
    settings: ReportSettings,
    results: Results,
    summary: Mapping[str, Any],
    findings: Findings,
    clusters: Clusters,
    figures: Mapping[str, bytes],
    colors: Mapping[str, str],
) -> str:
    """The page as text; the same results always give the same text."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"points": points, "signed": signed, "p": p_text}
    purity = neighbour_purity(results)
    source = resources.files("ramer.reporting").joinpath("report.html.j2").read_text("utf-8")
    return environment.from_string(source).render(
        verdict=words.verdict(results, findings, settings.report.confidence),
        advice=words.advice(results, findings, settings.served),
        findings=findings,
        gain=findings.retrieval_gain.get(AVERAGE),
        retrieval_words=words.where_retrieval_wins_and_loses(findings),
        product_words=words.product_paragraph(results, findings),
        methods=_method_rows(results, summary, findings),
        columns=TABLE_COLUMNS,
        random=_random_columns(settings.evaluate),
        rates=settings.evaluate.missing_rates,
        comparisons=[c for c in summary["comparisons"] if (c["metric"], c["condition"]) == (SCORE, AVERAGE)],
        by_condition=_differences(summary),
        reference=summary["reference"],
        chosen_reference=settings.report.reference == "best_baseline",
        best_score=results.methods[findings.best].metrics[f"{AVERAGE}/{SCORE}"],
        oracle=results.methods[findings.oracle].metrics[f"{AVERAGE}/{SCORE}"] if findings.oracle else None,
        bound=summary.get("bounds", {}).get(BAYES),
        purity=purity,
        speaker_columns=SPEAKER_COLUMNS,
        purity_sentence=words.purity_sentence(purity),
        corpus=results.corpus,
        corpus_rows=_corpus_rows(results.corpus),
        missing_rows=_missing_rows(results.corpus),
        class_rows=_class_rows(results.corpus),
        synthetic=results.corpus.get("provenance", {}).get("kind") == "synthetic",
        figures={name: base64.b64encode(data).decode("ascii") for name, data in figures.items()},
        colors=colors,
        confusion_caption=_confusion_caption(results.label_names),
        conditions={c: words.condition_words(c) for c in CONDITIONS},
        modalities=MODALITIES,
        seeds=results.seeds,
        folds=len(results.folds),
        clusters=clusters,
        confidence=round(100 * settings.report.confidence),
        draws=settings.report.draws,
        retrieval=settings.retrieval,
        excluded=f"its own {results.corpus.get('group_name') or 'speaker'}'s rows"
        if settings.retrieval.exclude == "speaker"
        else "itself",
        caveats=words.caveats(results, clusters, settings.report.draws, findings.alpha),
        other_metrics=other_metrics(),
    )


def _method_rows(results: Results, summary: Mapping[str, Any], findings: Findings) -> list[dict[str, Any]]:
    """One row per method, the highest avg6 first."""
    best = best_deployable(summary)
    rows = []
    for name, method in results.methods.items():
        cells = {
            c: {
                "mean": method.metrics[f"{c}/{SCORE}"],
                "std": method.metrics[f"{c}/{SCORE}_std"],
                "best": name in best[c],
            }
            for c in TABLE_COLUMNS
        }
        random = {s: summary["methods"][name][s][SCORE] for s in summary["scenarios"]}
        full = method.metrics[f"{FULL_CONDITION}/{SCORE}"]
        rows.append(
            {
                "name": name,
                "type": method.description.type,
                "deployable": method.description.deployable,
                "retrieval": method.description.retrieval,
                "validation": float(method.description.validation_selection),
                "chosen": name == findings.best,
                "cells": cells,
                "random": random,
                "retained": method.metrics.get(f"retained/{SCORE}", method.metrics[f"{AVERAGE}/{SCORE}"] / (full or 1)),
                "equity": method.metrics.get(f"equity/{SCORE}", float("nan")),
                "others": {m: method.metrics[f"{AVERAGE}/{m}"] for m in other_metrics()},
            }
        )
    return sorted(rows, key=lambda r: -r["cells"][AVERAGE]["mean"])


def other_metrics() -> dict[str, str]:
    """Heading of each metric beside the one that methods are compared by."""
    plain = {name: name.replace("_", " ").replace("f1", "F1") for name in METRICS if name != SCORE}
    return plain | {name: heading for name, heading in _HEADINGS.items() if name in plain}


def _random_columns(settings: Evaluate) -> dict[str, str]:
    """Heading of each column about modalities missing at random: the area, then the imbalanced rates."""
    return {
        way.name: "area under the curve" if way.name == AREA else way.name.removeprefix(IMBALANCED).replace("_", " ")
        for way in scenarios(settings)
        if not way.on_curve
    }


def _differences(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Weighted F1 comparisons per method and condition."""
    found: dict[str, dict[str, Any]] = {}
    for comparison in summary["comparisons"]:
        if comparison["metric"] == SCORE:
            found.setdefault(comparison["method"], {})[comparison["condition"]] = comparison
    return found


def _corpus_rows(corpus: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Rows per split: a number, or the range over replicates."""
    counts = corpus.get("counts", {})
    splits = [s for s in ("train", "val", "test", "pool") if any(s in c for c in counts.values())]
    return [(s, [_range(c.get(s, {}).get("rows", 0) for c in counts.values())]) for s in splits]


def _class_rows(corpus: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    counts = corpus.get("counts", {})
    return [
        (
            label,
            [_range(c.get(s, {}).get(f"label/{label}", 0) for c in counts.values()) for s in ("train", "val", "test")],
        )
        for label in corpus["label_names"]
        if counts
    ]


def _missing_rows(corpus: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Rows that lack a modality by nature, per split."""
    missing = corpus.get("naturally_missing", {})
    names = [(m, m) for m in MODALITIES] + [("all", "all three")]
    return [
        (shown, [_range(r.get(s, {}).get(key, 0) for r in missing.values()) for s in ("train", "val", "test", "pool")])
        for key, shown in names
        if missing
    ]


def _range(values: Any) -> str:
    found = sorted(set(values))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def trained_by_epochs(histories: Mapping[str, pd.DataFrame], column: str) -> dict[str, pd.DataFrame]:
    """Histories that hold a curve: the column, and more than one epoch."""
    return {n: h for n, h in histories.items() if column in h and h["epoch"].nunique() > 1}


def confusion_methods(results: Results, findings: Findings, reference: str, served: str) -> Sequence[str]:
    """The methods whose confusion is shown, each once."""
    return [n for n in dict.fromkeys((findings.best, reference, served)) if n in results.methods]


def _confusion_caption(label_names: Sequence[str]) -> str:
    """What the confusion matrices show, and what numbers in place of names stand for."""
    first, second = ("Left", "Right") if confusions_stand_side_by_side(len(label_names)) else ("Above", "Below")
    numbered = key(label_names)
    return (
        "Rows: the true class; columns: the predicted one; numbers: percent of the true class, none where no test row "
        f"is of it. {first}: everything available. {second}: all six missing conditions together."
        f"{f' Classes: {numbered}.' if numbered else ''}"
    )
