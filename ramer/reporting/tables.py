"""The comparison of methods as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ramer.evaluation.points import points, signed
from ramer.modalities import AVERAGE, FULL_CONDITION, MISSING_CONDITIONS

METRIC = "weighted_f1"
LOWER_IS_BETTER = frozenset({"ece"})
TABLE_WIDTH = 110  # columns that everything in one table needs
_MARKS = "bold: best deployable · † not deployable"
_TITLE = "Weighted F1 on the test rows, in points"


def comparison_tables(summary: Mapping[str, Any], width: int = TABLE_WIDTH) -> list[Table]:
    """Weighted F1 in points per method and condition, best first, with the difference to the reference.

    Args:
        summary: the content of ``results/summary.json``.
        width: columns of the terminal; below ``TABLE_WIDTH`` the conditions are a second table.
    """
    against = f"against the reference: difference of avg6 \\[{interval_words(summary)}], p after Holm\n"
    caption = f"{'± spread over seeds · ' * has_spread(summary)}{against}{_MARKS}"
    whole = (*MISSING_CONDITIONS, AVERAGE, FULL_CONDITION)
    if width >= TABLE_WIDTH:
        return [_table(summary, whole, compared=True, title=_TITLE, caption=caption)]
    return [
        _table(summary, (AVERAGE, FULL_CONDITION), compared=True, title=_TITLE),
        _table(summary, MISSING_CONDITIONS, compared=False, title="By what is available", caption=caption),
    ]


def _table(
    summary: Mapping[str, Any], conditions: Sequence[str], *, compared: bool, title: str, caption: str | None = None
) -> Table:
    methods, reference = summary["methods"], summary["reference"]
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("method", overflow="fold")
    for condition in (*conditions, *(("vs reference", "p") if compared else ())):
        table.add_column(condition, justify="right", no_wrap=True)
    best, spread = best_deployable(summary), has_spread(summary)
    found = {c["method"]: c for c in summary["comparisons"] if (c["metric"], c["condition"]) == (METRIC, AVERAGE)}
    for name in sorted(methods, key=lambda n: -_mean(methods[n], AVERAGE)):
        cells = [Text(name if methods[name]["deployable"] else f"{name}†")]
        for condition in conditions:
            text = points(_mean(methods[name], condition))
            if condition == AVERAGE and spread:
                text += f" ± {points(methods[name][condition][METRIC]['std'])}"
            cells.append(Text(text, style="bold" if name in best[condition] else ""))
        table.add_row(*cells, *(_against(found.get(name), name == reference) if compared else ()))
    return table


def best_deployable(summary: Mapping[str, Any]) -> dict[str, set[str]]:
    """Names of the deployable methods with the highest weighted F1 per condition, equals included."""
    return best_of(summary, (*MISSING_CONDITIONS, AVERAGE, FULL_CONDITION))


def best_of(
    summary: Mapping[str, Any], conditions: Sequence[str], metric: str = METRIC, shown: Sequence[str] = ()
) -> dict[str, set[str]]:
    """Names of the deployable methods with the best mean per condition or scenario, equals included.

    Args:
        metric: of which ``ece`` alone is better when it is lower.
        shown: the methods among which the best is sought; none: all.
    """
    names = shown or list(summary["methods"])
    methods = {n: summary["methods"][n] for n in names if summary["methods"][n]["deployable"]}
    best: dict[str, set[str]] = {}
    for condition in conditions:
        scores = {n: float(m[condition][metric]["mean"]) for n, m in methods.items()}
        top = (min if metric in LOWER_IS_BETTER else max)(scores.values(), default=0.0)
        best[condition] = {n for n, score in scores.items() if score == top}
    return best


def has_spread(summary: Mapping[str, Any]) -> bool:
    """Whether a spread over seeds is known: one seed has none. Summaries of before there was ``seeds`` are guessed."""
    if "seeds" in summary:
        return len(summary["seeds"]) > 1
    return any(m[AVERAGE][METRIC]["std"] > 0 for m in summary["methods"].values())


def metric_words(metric: str) -> str:
    """A metric as tables call it.

    Example:
        >>> metric_words("weighted_f1"), metric_words("uar")
        ('weighted F1', 'UAR')
    """
    return {"uar": "UAR", "ece": "ECE"}.get(metric, metric.replace("_", " ").replace("f1", "F1"))


def interval_words(summary: Mapping[str, Any]) -> str:
    """An interval with its level, as ``95 % interval``; summaries of before there was ``confidence`` do not say it."""
    confidence = summary.get("confidence")
    return "interval" if confidence is None else f"{100 * confidence:.4g} % interval"


def p_text(p: float) -> str:
    """A p value in as many digits as matter."""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _mean(method: Mapping[str, Any], condition: str) -> float:
    return float(method[condition][METRIC]["mean"])


def _against(comparison: Mapping[str, Any] | None, is_reference: bool) -> tuple[Text, Text]:
    if comparison is None:
        return Text("reference" if is_reference else ""), Text("")
    difference, low, high = (signed(comparison[key]) for key in ("difference", "low", "high"))
    return Text(f"{difference} [{low}, {high}]"), Text(p_text(comparison["p_holm"]))
