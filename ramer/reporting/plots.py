"""Figures of the report: PNG bytes that are the same for the same results.

Figures are narrow with large type, so that they can still be read when a phone scales them down.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ramer.evaluation.scenarios import point_name
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.fonts import PLAIN, drawable, families

# Okabe and Ito's palette without its yellow, then the colours of Tol's muted scheme that differ from it.
PALETTE: tuple[str, ...] = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#332288", "#882255", "#999933", "#AA4499", "#117733", "#88CCEE",
    "#003A5C", "#7A3600", "#004D38", "#7D4763", "#7F5800", "#1F5F86",
    "#8C86C9", "#D98FB5", "#CFCF7A", "#E3A6DB", "#6FBF87", "#5E7F99",
)  # fmt: skip
MODALITY_COLORS = {"audio": "#0072B2", "video": "#D55E00", "text": "#009E73"}
WIDTH = 6.4
_MOST_BESIDE = 10  # classes of two confusion matrices beside each other; with more they stand above each other
_MOST_NUMBERED = 30  # classes whose shares can still be read as numbers
INK, GREY = "#1f2328", "#8a9099"
STYLE: Any = {
    "font.family": PLAIN,
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def method_colors(names: Sequence[str]) -> dict[str, str]:
    """One colour for each of up to 24 methods by its place under ``methods``, the same in every figure and table."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


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
        return _png(figure)


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
        return _png(figure)


def _forest_range(comparisons: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Limits of the axis in points: a far-off bound must not squeeze what is to be told apart."""
    reach = [100 * max(abs(c["low"]), abs(c["high"])) for c in comparisons] or [0.0]
    furthest = max(3 * float(np.median(reach)), 1.0)
    left = max(min([100 * c["low"] for c in comparisons] + [-1.0]), -furthest)
    right = min(max([100 * c["high"] for c in comparisons] + [1.0]), furthest)
    margin = 0.05 * (right - left)
    return left - margin, right + margin


def rate_curves(
    summary: Mapping[str, Any], rates: Sequence[float], order: Sequence[str], colors: Mapping[str, str]
) -> bytes:
    """Weighted F1 over the rate at which every modality goes missing at random; bounds are dashed."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4 + 0.08 * len(order)), layout="constrained")
        axis = figure.subplots()
        for name in order:
            method = summary["methods"][name]
            values = [100 * method[point_name(rate)]["weighted_f1"]["mean"] for rate in rates]
            style = "-" if method["deployable"] else "--"
            axis.plot(rates, values, style, color=colors[name], linewidth=1.8, label=name)
        axis.set_xlabel("probability of a modality to be missing (at least one is kept)")
        axis.set_ylabel("weighted F1, points")
        axis.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
        return _png(figure)


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
        return _png(figure)


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


def encoder_curves(histories: Mapping[str, pd.DataFrame]) -> bytes:
    """Validation weighted F1 and both losses of every modality's encoder over epochs."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        axes = figure.subplots(2, len(histories), sharex="col", sharey="row", squeeze=False)
        for column, (modality, history) in zip(axes.T, histories.items(), strict=True):
            color = MODALITY_COLORS[modality]
            _curve(column[0], history, "val_weighted_f1", color, "validation", scale=100)
            _curve(column[1], history, "train_loss", GREY, "training")
            _curve(column[1], history, "val_loss", color, "validation")
            column[0].set_title(modality)
            column[1].set_xlabel("epoch")
        axes[0, 0].set_ylabel("weighted F1, points")
        axes[1, 0].set_ylabel("loss")
        axes[1, -1].legend(frameon=False, fontsize=8.5)
        return _png(figure)


def method_curves(histories: Mapping[str, pd.DataFrame], colors: Mapping[str, str]) -> bytes:
    """The score that selects, on validation rows over epochs, for every method trained by epochs."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4 + 0.12 * len(histories)), layout="constrained")
        axis = figure.subplots()
        for name, history in histories.items():
            _curve(axis, history, "val_selection", colors[name], name, scale=100)
        axis.set_xlabel("epoch")
        axis.set_ylabel("weighted F1 on validation, points")
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
        return _png(figure)


def _curve(axis: Axes, history: pd.DataFrame, column: str, color: str, label: str, scale: float = 1.0) -> None:
    if column not in history:
        return
    # A replicate that stopped keeps its last value, so that the mean does not jump when one leaves.
    table = history.pivot(index="epoch", columns="replicate", values=column).sort_index().ffill() * scale
    epochs = table.index.to_numpy()
    if table.shape[1] > 1:
        axis.fill_between(epochs, table.min(axis=1), table.max(axis=1), color=color, alpha=0.16, linewidth=0)
    axis.plot(epochs, table.mean(axis=1), color=color, linewidth=1.8, label=label)


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
        return _png(figure)


def _panel_title(condition: str) -> str:
    if condition == AVERAGE:
        return "avg6: mean of the six below"
    return "avt: all available" if condition == FULL_CONDITION else f"{condition}: {' + '.join(CONDITIONS[condition])}"


def _png(figure: Figure) -> bytes:
    # matplotlib names itself in a PNG unless told not to; the version must not be part of the bytes.
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()
