"""What is drawn over epochs and over rates of missing modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramer.evaluation.scenarios import point_name
from ramer.reporting.plot_style import GREY, MODALITY_COLORS, STYLE, WIDTH, png


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
        return png(figure)


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
        return png(figure)


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
        return png(figure)


def _curve(axis: Axes, history: pd.DataFrame, column: str, color: str, label: str, scale: float = 1.0) -> None:
    if column not in history:
        return
    # A replicate that stopped keeps its last value, so that the mean does not jump when one leaves.
    table = history.pivot(index="epoch", columns="replicate", values=column).sort_index().ffill() * scale
    epochs = table.index.to_numpy()
    if table.shape[1] > 1:
        axis.fill_between(epochs, table.min(axis=1), table.max(axis=1), color=color, alpha=0.16, linewidth=0)
    axis.plot(epochs, table.mean(axis=1), color=color, linewidth=1.8, label=label)
