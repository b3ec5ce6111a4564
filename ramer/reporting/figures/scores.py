"""Scores of the methods: by condition, against the reference, over the rate of missing modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ramer.evaluation.model_cards import SHOWN_CONDITIONS
from ramer.evaluation.scenarios import point_name
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION
from ramer.reporting.figures.style import GREY, GRID, INK, SMALLEST, STYLE, WIDTH, Drawn, broken, legend, save, short
from ramer.reporting.tables import has_spread

_MARGIN = 0.08  # of the range of contenders, left free above and below it


def bars(summary: Mapping[str, Any], order: Sequence[str], colors: Mapping[str, str]) -> Drawn:
    """Weighted F1 of every method, one panel per condition; non-deployable methods hatched."""
    methods, spread_known = summary["methods"], has_spread(summary)
    names = [broken(n) for n in order]
    lines = sum(name.count("\n") + 1 for name in names)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4 * (0.6 + 0.19 * lines)), layout="constrained")
        axes = figure.subplots(4, 2, sharex=True, sharey=True)
        for axis, condition in zip(axes.flat, SHOWN_CONDITIONS, strict=True):
            cells = [methods[n][condition]["weighted_f1"] for n in order]
            values = [100 * c["mean"] for c in cells]
            spread = [100 * c["std"] for c in cells] if spread_known else None
            drawn = axis.barh(
                range(len(order)), values, 0.72, xerr=spread, color=[colors[n] for n in order],
                error_kw={"ecolor": INK, "elinewidth": 1.1},
            )  # fmt: skip
            for bar, name in zip(drawn, order, strict=True):
                if not methods[name]["deployable"]:
                    bar.set(hatch="////", facecolor="white", edgecolor=colors[name])
            for i, value in enumerate(values):
                axis.text(value + (spread[i] if spread else 0) + 1, i, f"{value:.1f}", va="center", fontsize=SMALLEST)
            axis.set_title(_panel_title(condition))
            axis.set_yticks(range(len(order)), names)
            axis.tick_params(axis="y", length=0)
        top = max(100 * methods[n][c]["weighted_f1"]["mean"] for n in order for c in SHOWN_CONDITIONS)
        axes[0, 0].set_xlim(0, top * 1.3 + 2)
        axes[0, 0].invert_yaxis()
        figure.supxlabel("weighted F1, points", fontsize=10)
        return save(figure)


def _panel_title(condition: str) -> str:
    if condition == AVERAGE:
        return "avg6: mean of six"
    return "avt: all available" if condition == FULL_CONDITION else f"{condition}: {' + '.join(CONDITIONS[condition])}"


def forest(
    comparisons: Sequence[Mapping[str, Any]], reference: str, order: Sequence[str], colors: Mapping[str, str]
) -> Drawn:
    """Difference of every method's avg6 weighted F1 to the reference, with its interval."""
    found = {c["method"]: c for c in comparisons if (c["metric"], c["condition"]) == ("weighted_f1", AVERAGE)}
    names = [n for n in order if n in found]
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.2 + 0.36 * max(1, len(names))), layout="constrained")
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
        axis.set_yticks(range(len(names)), [broken(n) for n in names])
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(f"points of avg6 against {short(reference)}")
        axis.set_title("← worse · better →", fontsize=SMALLEST, color=GREY, loc="center")
        axis.grid(axis="x", color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        return save(figure)


def _forest_range(comparisons: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Limits of the axis in points: a far-off bound must not squeeze what is to be told apart."""
    reach = [100 * max(abs(c["low"]), abs(c["high"])) for c in comparisons] or [0.0]
    furthest = max(3 * float(np.median(reach)), 1.0)
    left = max(min([100 * c["low"] for c in comparisons] + [-1.0]), -furthest)
    right = min(max([100 * c["high"] for c in comparisons] + [1.0]), furthest)
    margin = 0.05 * (right - left)
    return left - margin, right + margin


def rate_curves(
    summary: Mapping[str, Any],
    rates: Sequence[float],
    order: Sequence[str],
    colors: Mapping[str, str],
    contenders: Sequence[str],
) -> Drawn:
    """Weighted F1 over the rate at which every modality goes missing at random; bounds are dashed.

    Args:
        contenders: the methods that the axis must fit; another one that leaves it is named with its range.
    """
    curves = {n: [100 * summary["methods"][n][point_name(r)]["weighted_f1"]["mean"] for r in rates] for n in order}
    low, high = rate_limits({n: curves[n] for n in contenders or order})
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.2 + 0.11 * len(order)), layout="constrained")
        axis = figure.subplots()
        for name, values in curves.items():
            style = "-" if summary["methods"][name]["deployable"] else "--"
            leaves = min(values) < low or max(values) > high
            label = f"{short(name)} ({min(values):.0f} to {max(values):.0f})" if leaves else short(name)
            axis.plot(rates, values, style, color=colors[name], linewidth=1.8, label=label)
        axis.set_ylim(low, high)
        axis.set_xlabel("rate at which a modality is missing")
        axis.set_ylabel("weighted F1, points")
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        legend(figure, len(order))
        return save(figure)


def pool_curves(curves: Mapping[str, Sequence[Mapping[str, Any]]], colors: Mapping[str, str]) -> Drawn:
    """avg6 weighted F1 over the pool's size as it grows after training; shuffled databases are dashed."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.2 + 0.11 * len(curves)), layout="constrained")
        axis = figure.subplots()
        for name, points in curves.items():
            sizes = [point["rows"] for point in points]
            for key, style in (("avg6", "o-"), ("shuffled", "--")):
                values = [100 * point[key]["mean"] for point in points]
                label = short(name) if key == "avg6" else None
                axis.plot(sizes, values, style, color=colors[name], linewidth=1.8, label=label)
        axis.set_xscale("symlog", linthresh=100)
        axis.set_xlabel("pool rows in the database")
        axis.set_ylabel("avg6 weighted F1, points")
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        legend(figure, len(curves))
        return save(figure)


def rate_limits(curves: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Limits of the axis in points: the curves and a margin."""
    low, high = (bound(bound(values) for values in curves.values()) for bound in (min, max))
    margin = max(_MARGIN * (high - low), 0.5)
    return low - margin, high + margin
