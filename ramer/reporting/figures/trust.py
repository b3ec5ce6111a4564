"""Whom a score holds for: reliability of confidences, and the spread over speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from ramer.reporting.figures.style import GREY, GRID, INK, STYLE, WIDTH, Drawn, broken, save, short
from ramer.reporting.reliability import Bin

_MARKS = {"some missing": ("o", "-"), "all available": ("s", "--")}


def reliability_diagram(bins: Mapping[str, Mapping[str, Sequence[Bin]]], colors: Mapping[str, str]) -> Drawn:
    """Accuracy over confidence, one panel per method; on the diagonal the two agree."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.1 + 2.3 * len(bins)), layout="constrained")
        axes = figure.subplots(len(bins), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (name, groups) in zip(axes, bins.items(), strict=True):
            axis.plot([0, 100], [0, 100], color=GREY, linewidth=1)
            for group, found in groups.items():
                marker, style = _MARKS[group]
                color = colors[name] if group == "some missing" else INK
                points = 100 * np.array([[b.confidence, b.accuracy] for b in found]).reshape(-1, 2)
                axis.plot(*points.T, marker=marker, linestyle=style, color=color, markersize=5, label=group)
            axis.set_title(short(name))
            axis.set_ylabel("right, %")
            axis.set_xlim(0, 100)
            axis.set_ylim(0, 100)
            axis.legend(frameon=False, loc="upper left")
        axes[-1].set_xlabel("confidence, %")
        return save(figure)


def spread_over_groups(scores: pd.DataFrame, order: Sequence[str], colors: Mapping[str, str], unit: str) -> Drawn:
    """A dot per speaker and method, and a bar at the median.

    Args:
        scores: fractions, a line per speaker, a column per method.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.9 + 0.36 * len(order)), layout="constrained")
        axis = figure.subplots()
        for i, name in enumerate(order):
            values = 100 * scores[name].dropna().to_numpy()
            axis.plot(values, np.full(len(values), i), "o", color=colors[name], markersize=5, markeredgecolor="white")
            axis.plot([np.median(values)] * 2, [i - 0.32, i + 0.32], color=INK, linewidth=2)
        axis.set_yticks(range(len(order)), [broken(n) for n in order])
        axis.invert_yaxis()
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.set_xlabel(f"right of each {unit}'s clips, %")
        return save(figure)
