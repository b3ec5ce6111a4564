"""Figures of the report: PNG bytes that are the same for the same results.

Figures are narrow with large type, so that they can still be read when a phone scales them down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.plot_style import GREY, INK, MODALITY_COLORS, STYLE, WIDTH, png


def bars(summary: Mapping[str, Any], order: Sequence[str], colors: Mapping[str, str]) -> bytes:
    """Weighted F1 of every method, one panel per condition; non-deployable methods hatched."""
    methods = summary["methods"]
    panels = (AVERAGE, FULL_CONDITION, *MISSING_CONDITIONS)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4 * (0.55 + 0.21 * len(order))), layout="constrained")
        axes = figure.subplots(4, 2, sharex=True, sharey=True)
        for axis, condition in zip(axes.flat, panels, strict=True):
            cells = [methods[n][condition]["weighted_f1"] for n in order]
            values = [100 * c["mean"] for c in cells]
            spread = [100 * c["std"] for c in cells]
            drawn = axis.barh(
                range(len(order)), values, 0.72, xerr=spread, color=[colors[n] for n in order],
                error_kw={"ecolor": INK, "elinewidth": 1.1},
            )  # fmt: skip
            for bar, name in zip(drawn, order, strict=True):
                if not methods[name]["deployable"]:
                    bar.set(hatch="////", facecolor="white", edgecolor=colors[name])
            for i, (value, error) in enumerate(zip(values, spread, strict=True)):
                axis.text(value + error + 1, i, f"{value:.1f}", va="center", fontsize=8.5)
            axis.set_title(_panel_title(condition))
            axis.set_yticks(range(len(order)), order)
            axis.tick_params(axis="y", length=0)
        top = max(100 * methods[n][c]["weighted_f1"]["mean"] for n in order for c in panels)
        axes[0, 0].set_xlim(0, top * 1.18 + 2)
        axes[0, 0].invert_yaxis()
        figure.supxlabel("weighted F1, points", fontsize=10.5)
        return png(figure)


def forest(
    comparisons: Sequence[Mapping[str, Any]], reference: str, order: Sequence[str], colors: Mapping[str, str]
) -> bytes:
    """Difference of every method's avg6 weighted F1 to the reference, with its interval."""
    found = {c["method"]: c for c in comparisons if (c["metric"], c["condition"]) == ("weighted_f1", AVERAGE)}
    names = [n for n in order if n in found]
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.1 + 0.34 * max(1, len(names))), layout="constrained")
        axis = figure.subplots()
        axis.axvline(0, color=GREY, linewidth=1, linestyle="--")
        left, right = _forest_range([found[n] for n in names])
        for i, name in enumerate(names):
            middle, low, high = (100 * found[name][k] for k in ("difference", "low", "high"))
            axis.plot([low, high], [i, i], color=colors[name], linewidth=2.5, solid_capstyle="round")
            axis.plot([middle], [i], "o", color=colors[name], markersize=7, markeredgecolor="white")
            if not left < middle < right:
                edge, shown, align = (
                    (left, f"◀ {middle:+.1f}", "left") if middle <= left else (right, f"{middle:+.1f} ▶", "right")
                )
                offset = (5 if align == "left" else -5, 0)
                axis.annotate(
                    shown, (edge, i), offset, textcoords="offset points", color=colors[name], va="center", ha=align
                )
        axis.set_xlim(left, right)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(f"points of avg6 weighted F1 against {reference}")
        axis.set_title("← worse than the reference · better →", fontsize=9.5, color=GREY, loc="center")
        axis.grid(axis="x", color="#e6e8eb", linewidth=0.8)
        axis.set_axisbelow(True)
        return png(figure)


def _forest_range(comparisons: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Limits of the axis in points: a far-off bound must not squeeze what is to be told apart."""
    reach = [100 * max(abs(c["low"]), abs(c["high"])) for c in comparisons] or [0.0]
    furthest = max(3 * float(np.median(reach)), 1.0)
    left = max(min([100 * c["low"] for c in comparisons] + [-1.0]), -furthest)
    right = min(max([100 * c["high"] for c in comparisons] + [1.0]), furthest)
    margin = 0.05 * (right - left)
    return left - margin, right + margin


def purity(rows: Mapping[str, Mapping[str, float]]) -> bytes:
    """Share of neighbours with the query's label: training rows beside test rows.

    Args:
        rows: per modality ``train`` and ``test``, fractions; ``chance`` where known.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.9 + 0.75 * len(rows)), layout="constrained")
        axis = figure.subplots()
        for i, (modality, shares) in enumerate(rows.items()):
            for offset, key, alpha in ((-0.19, "train", 0.4), (0.19, "test", 1.0)):
                value = 100 * shares[key]
                axis.barh(i + offset, value, 0.34, color=MODALITY_COLORS[modality], alpha=alpha)
                axis.text(value + 1, i + offset, f"{key} rows {value:.0f}", va="center", fontsize=9)
            if np.isfinite(shares.get("chance", np.nan)):
                axis.plot([100 * shares["chance"]] * 2, [i - 0.4, i + 0.4], color=INK, linewidth=1.6)
        axis.set_yticks(range(len(rows)), list(rows))
        axis.set_xlim(0, 118)
        axis.set_xticks(range(0, 101, 20))
        axis.invert_yaxis()
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel("neighbours with the query's label, %")
        return png(figure)


def _panel_title(condition: str) -> str:
    if condition == AVERAGE:
        return "avg6: mean of the six below"
    return "avt: all available" if condition == FULL_CONDITION else f"{condition}: {' + '.join(CONDITIONS[condition])}"
