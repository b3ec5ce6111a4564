"""Classes: confusions, and how often neighbours share one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramer.modalities import FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.figures.fonts import drawable, families
from ramer.reporting.figures.style import INK, MODALITY_COLORS, SMALLEST, STYLE, WIDTH, Drawn, save, short

_MOST_LARGE = 10  # classes whose matrix has room for large letters
_MOST_NUMBERED = 30  # classes whose shares can still be read as numbers


def confusions(matrices: Mapping[str, Mapping[str, np.ndarray]], label_names: Sequence[str]) -> Drawn:
    """Row-normalised confusion per method: everything available above the mean over missing conditions.

    A class without test rows has an empty row; names that no installed font can draw are numbers (``fonts.key``).

    Args:
        matrices: counts [true, predicted] per method and condition.
    """
    classes = len(label_names)
    height = 1.3 + (0.34 if classes <= _MOST_LARGE else 0.2) * classes
    with rc_context(STYLE | {"font.family": families([*label_names, *matrices])}):
        figure = Figure(
            figsize=(max(WIDTH, 1.4 + 0.2 * min(classes, _MOST_NUMBERED)), 2 * height * len(matrices)),
            layout="constrained",
        )
        axes = figure.subplots(2 * len(matrices), 1, squeeze=False).reshape(len(matrices), 2)
        for (full, some), (name, counts) in zip(axes, matrices.items(), strict=True):
            missing = np.sum([counts[c] for c in MISSING_CONDITIONS], axis=0)
            _heatmap(full, counts[FULL_CONDITION], label_names, f"{short(name)}: all available")
            _heatmap(some, missing, label_names, f"{short(name)}: some missing")
        return save(figure)


def _heatmap(axis: Axes, counts: np.ndarray, label_names: Sequence[str], title: str) -> None:
    rows = counts.sum(axis=1, keepdims=True)
    share = np.where(rows > 0, counts / np.maximum(rows, 1), np.nan)  # no test row of a class: nothing was measured
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    large = len(counts) <= _MOST_LARGE
    size = SMALLEST if large else 7 if len(counts) <= _MOST_NUMBERED else 5
    for (i, j), value in np.ndenumerate(share):
        if np.isfinite(value) and len(counts) <= _MOST_NUMBERED:
            color = "white" if value > 0.55 else INK
            axis.text(j, i, f"{100 * value:.0f}", ha="center", va="center", fontsize=size, color=color)
    drawn = [short(name) for name in drawable(label_names)]
    angle, end = (40, "right") if large else (90, "center")
    axis.set_xticks(range(len(label_names)), drawn, fontsize=size, rotation=angle, ha=end)
    axis.set_yticks(range(len(label_names)), drawn, fontsize=size)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(title, fontsize=10)


def purity(rows: Mapping[str, Mapping[str, float]]) -> Drawn:
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
                axis.text(value + 1, i + offset, f"{key} {value:.0f}", va="center", fontsize=SMALLEST)
            if np.isfinite(shares.get("chance", np.nan)):
                axis.plot([100 * shares["chance"]] * 2, [i - 0.4, i + 0.4], color=INK, linewidth=1.6)
        axis.set_yticks(range(len(rows)), list(rows))
        axis.set_xlim(0, 122)
        axis.set_xticks(range(0, 101, 20))
        axis.invert_yaxis()
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel("neighbours with the query's label, %")
        return save(figure)
