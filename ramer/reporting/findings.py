"""What the comparison found: which method to use, what retrieval adds, what cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ramer.modalities import AVERAGE
from ramer.reporting.results import Results
from ramer.statistics import COLUMNS, Bootstrap, Comparison, best_on_validation, choose_reference

SCORE = "weighted_f1"
CEILING, PRODUCT, CONTROL = "oracle", "late_product", "random_neighbours"  # types of methods with a role in the words


@dataclass(frozen=True)
class Findings:
    """Names and comparisons that the words are built from.

    Attributes:
        best: best deployable method on validation. baseline: the best of those without retrieval.
        top: deployable method with the highest test score, which may be another by luck.
        retrieval: best deployable retrieval method on validation, None without one.
        ceiling: the method that sees what is missing, None without one.
        retrieval_gain: retrieval against the baseline per condition and avg6, empty if there is nothing to compare.
        as_good: deployable methods that the test rows cannot tell from ``best``.
        product: name of the product of unimodal regressions; product_gaps: every method against it on avg6.
        control_gain: retrieval against randomly drawn neighbours on avg6.
    """

    best: str
    baseline: str
    top: str
    retrieval: str | None
    ceiling: str | None
    retrieval_gain: dict[str, Comparison]
    as_good: list[str]
    product: str | None
    product_gaps: list[Comparison]
    control_gain: Comparison | None
    alpha: float


def find(results: Results, bootstrap: Bootstrap) -> Findings:
    """Derive the findings; every choice of a method is made on validation rows."""
    about = results.descriptions
    deployable = [n for n, m in about.items() if m["deployable"]] or list(about)
    alpha = 1.0 - bootstrap.confidence
    best, baseline = best_on_validation(about, deployable), choose_reference(about)
    retrieving = [n for n in deployable if about[n]["retrieval"]]
    retrieval = best_on_validation(about, retrieving) if retrieving else None
    gain: dict[str, Comparison] = {}
    if retrieval and not about[baseline]["retrieval"]:
        families = [(SCORE, c) for c in COLUMNS]
        gain = {c.condition: c for c in bootstrap.compare(baseline, families) if c.method == retrieval}
    against_best = {c.method: c for c in bootstrap.compare(best, [(SCORE, AVERAGE)])}
    product, control = _of_type(about, PRODUCT), _of_type(about, CONTROL)
    return Findings(
        best=best,
        baseline=baseline,
        top=max(deployable, key=lambda n: results.methods[n].metrics[f"{AVERAGE}/{SCORE}"]),
        retrieval=retrieval,
        ceiling=_of_type(about, CEILING),
        retrieval_gain=gain,
        as_good=[n for n in deployable if n != best and against_best[n].p_holm >= alpha],
        product=product,
        product_gaps=bootstrap.compare(product, [(SCORE, AVERAGE)]) if product else [],
        control_gain=_single(bootstrap, control, retrieval),
        alpha=alpha,
    )


def neighbour_purity(diagnostics: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Per modality the mean shares of ``diagnostics.json``; modalities without any are left out."""
    rows = {}
    for modality, found in diagnostics.items():
        means = {k: float(v) for k, v in found.get("mean", {}).items() if isinstance(v, int | float)}
        if {"train", "test"} <= set(means):
            rows[modality] = means
    return rows


def _of_type(about: Mapping[str, Mapping[str, Any]], kind: str) -> str | None:
    return next((n for n, m in about.items() if m["type"] == kind), None)


def _single(bootstrap: Bootstrap, reference: str | None, method: str | None) -> Comparison | None:
    if reference is None or method is None or reference == method:
        return None
    return bootstrap.compare(reference, [(SCORE, AVERAGE)], [method])[0]
