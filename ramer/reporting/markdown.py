"""The comparison of methods as a Markdown table, for notes, papers' supplements and ``docs/results.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ramer.evaluation.predictions import RATIOS
from ramer.evaluation.scenarios import AREA
from ramer.modalities import AVERAGE, FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.tables import METRIC, best_deployable, has_spread, p_text, points, signed


def markdown_table(summary: Mapping[str, Any]) -> str:
    """Weighted F1 in points per method and condition, best avg6 first, with the difference to the reference.

    Args:
        summary: the content of ``results/summary.json``.
    """
    methods, reference = summary["methods"], summary["reference"]
    extra = [AREA] if AREA in summary.get("scenarios", ()) else []
    columns = (AVERAGE, FULL_CONDITION, *extra, *MISSING_CONDITIONS)
    ratios = [r for r in RATIOS if all(r in m for m in methods.values())]  # not in tables of before they were kept
    best = best_deployable(summary)
    found = {c["method"]: c for c in summary["comparisons"] if (c["metric"], c["condition"]) == (METRIC, AVERAGE)}
    heads = ["method", *("area" if c == AREA else c for c in columns), *ratios, f"avg6 against `{reference}`", "p"]
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1)]
    for name in sorted(methods, key=lambda n: -methods[n][AVERAGE][METRIC]["mean"]):
        cells = [f"`{name}`" + ("" if methods[name]["deployable"] else " †")]
        for column in columns:
            score = methods[name][column][METRIC]
            text = points(score["mean"])
            if column == AVERAGE and has_spread(summary):
                text += f" ± {points(score['std'])}"
            cells.append(f"**{text}**" if name in best.get(column, ()) else text)
        cells += [_percent(methods[name][ratio][METRIC]["mean"]) for ratio in ratios]
        lines.append(cells + _against(found.get(name), name == reference))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _percent(ratio: float | None) -> str:
    """A ratio in percent, a dash where it is not defined."""
    return "-" if ratio is None else f"{100 * ratio:.0f}"


def _against(comparison: Mapping[str, Any] | None, is_reference: bool) -> list[str]:
    if comparison is None:
        return ["reference" if is_reference else "", ""]
    difference, low, high = (signed(comparison[key]) for key in ("difference", "low", "high"))
    return [f"{difference} [{low}, {high}]", p_text(comparison["p_holm"])]
