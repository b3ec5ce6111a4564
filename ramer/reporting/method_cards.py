"""What the report says of each method, in words and figures that fit beside the model itself."""

from __future__ import annotations

from collections.abc import Mapping

from ramer.evaluation.bootstrap import COLUMNS, Bootstrap, Comparison
from ramer.evaluation.model_cards import SET_COVERAGE, Gap, ModelCard, ModelCards, Score
from ramer.evaluation.points import points, signed
from ramer.modalities import AVERAGE
from ramer.project import Project
from ramer.reporting.findings import SCORE, Findings
from ramer.reporting.limits import caveats
from ramer.reporting.results import Results
from ramer.reporting.scored import ScoredMethods
from ramer.reporting.sets import SetsHeld
from ramer.training.costs import trained_digest

ZEROS = "zero_fill"  # the type that everybody understands: what is missing is zeros


def build_cards(
    project: Project, scored: ScoredMethods, findings: Findings, sets: Mapping[str, Mapping[str, SetsHeld]]
) -> ModelCards:
    """One card per method.

    Args:
        project: with the checkpoints that were scored.
        sets: per method and condition, how often sets held the true class.
    """
    results, settings, bootstrap = scored.results, scored.settings, scored.bootstrap
    gaps: dict[str, list[Gap]] = {name: [] for name in results.methods}
    for c in scored.comparisons:
        if c.condition in COLUMNS:
            gaps[c.method].append(Gap(**{key: c.as_dict()[key] for key in Gap.model_fields}))
    confidence, alpha = settings.report.confidence, findings.alpha
    return ModelCards(
        confidence=confidence,
        coverage=settings.report.coverage,
        reference=scored.reference,
        units=bootstrap.clusters.size,
        unit=bootstrap.clusters.unit,
        limits=tuple(caveats(results, bootstrap.clusters, settings.report.draws, alpha)),
        methods={
            name: ModelCard(
                trained=trained_digest(project.method(name)),
                scores=(*_scores(bootstrap, name), *_covered(sets.get(name, {}))),
                gaps=tuple(gaps[name]),
                advice=tuple(advice(results, findings, bootstrap, name)),
            )
            for name in results.methods
        },
    )


def advice(results: Results, findings: Findings, bootstrap: Bootstrap, name: str) -> list[str]:
    """What to know before using one method: how it stands to zeros and to the method that the report would take."""
    about = results.descriptions
    if not about[name].deployable:
        return [f"`{name}` is a bound or a control, not for deployment."]
    said = []
    zeros = next((n for n, m in about.items() if m.type == ZEROS and n != name), None)
    best = findings.best
    for other, why in ((zeros, ", which puts zeros where something is missing,"), (best, "")):
        if other is not None and other != name and (why or other != zeros):
            (found,) = bootstrap.compare(other, [(SCORE, AVERAGE)], [name])
            said.append(_stands(found, why, bootstrap.confidence))
    if best == name:
        said.append(f"The report advises `{name}`: the best on validation rows of what can be deployed.")
    else:
        said.append(
            f"The report advises another method, `{best}`: the best on validation rows of what can be deployed."
        )
    error = points(results.methods[name].metrics[f"{AVERAGE}/ece"])
    said.append(f"Its confidences miss its accuracy by {error} points on average (ECE).")
    return said


def _stands(found: Comparison, why: str, confidence: float) -> str:
    """``found.method`` against ``found.reference`` as a sentence."""
    size = points(abs(found.difference))
    how = "level with" if float(size) == 0 else f"{size} points {'above' if found.difference > 0 else 'below'}"
    between = f"{round(100 * confidence)} % interval {signed(found.low)} to {signed(found.high)}"
    noise = ", which may be noise" if found.low <= 0 <= found.high else ""
    return f"`{found.method}` is {how} `{found.reference}`{why} on this corpus ({between}{noise})."


def _scores(bootstrap: Bootstrap, name: str) -> list[Score]:
    by_metric = {SCORE: COLUMNS, "uar": (AVERAGE,)}
    found = {metric: bootstrap.scores(name, metric) for metric in by_metric}
    return [
        Score(metric=metric, condition=c, value=found[metric][c][0], low=found[metric][c][1], high=found[metric][c][2])
        for metric, columns in by_metric.items()
        for c in columns
    ]


def _covered(sets: Mapping[str, SetsHeld]) -> list[Score]:
    return [Score(metric=SET_COVERAGE, condition=c, value=s.covered, low=s.low, high=s.high) for c, s in sets.items()]
