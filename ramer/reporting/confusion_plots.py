"""Confusion matrices as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramer.modalities import FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.fonts import drawable, families
from ramer.reporting.plot_style import INK, STYLE, WIDTH, png

_MOST_BESIDE = 10  # classes of two confusion matrices beside each other; with more they stand above each other


_MOST_NUMBERED = 30  # classes whose shares can still be read as numbers


def confusions(matrices: Mapping[str, Mapping[str, np.ndarray]], label_names: Sequence[str]) -> bytes:
    """Row-normalised confusion per method: everything available beside, or above, the mean over missing conditions.

    A class without test rows has an empty row; names that no installed font can draw are numbers (``fonts.key``).

    Args:
        matrices: counts [true, predicted] per method and condition.
    """
    classes = len(label_names)
    beside = confusions_stand_side_by_side(classes)
    height = max(2.6, 0.6 + 0.36 * classes) if beside else 2 * (1.4 + 0.2 * classes)
    with rc_context(STYLE | {"font.family": families([*label_names, *matrices])}):
        figure = Figure(figsize=(WIDTH, height * len(matrices)), layout="constrained")
        shape = (len(matrices), 2) if beside else (2 * len(matrices), 1)
        axes = figure.subplots(*shape, squeeze=False).reshape(len(matrices), 2)
        for row, (name, counts) in zip(axes, matrices.items(), strict=True):
            missing = np.sum([counts[c] for c in MISSING_CONDITIONS], axis=0)
            _heatmap(row[0], counts[FULL_CONDITION], label_names, f"{name}: all available", beside)
            _heatmap(row[1], missing, label_names, f"{name}: some missing", beside)
            if beside:
                row[1].set_yticks([])
        return png(figure)


def confusions_stand_side_by_side(classes: int) -> bool:
    """Whether the two matrices of a method have room beside each other; else they stand above each other."""
    return classes <= _MOST_BESIDE


def _heatmap(axis: Axes, counts: np.ndarray, label_names: Sequence[str], title: str, large: bool) -> None:
    rows = counts.sum(axis=1, keepdims=True)
    share = np.where(rows > 0, counts / np.maximum(rows, 1), np.nan)  # no test row of a class: nothing was measured
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    numbers, names = (8.5, 9) if large else (6, 7)
    for (i, j), value in np.ndenumerate(share):
        if np.isfinite(value) and len(counts) <= _MOST_NUMBERED:
            color = "white" if value > 0.55 else INK
            axis.text(j, i, f"{100 * value:.0f}", ha="center", va="center", fontsize=numbers, color=color)
    drawn = drawable(label_names)
    angle, end = (40, "right") if large else (90, "center")
    axis.set_xticks(range(len(label_names)), drawn, fontsize=names, rotation=angle, ha=end)
    axis.set_yticks(range(len(label_names)), drawn, fontsize=names)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(title, fontsize=9.5)
