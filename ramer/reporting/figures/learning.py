"""Training curves of encoders and methods."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramer.reporting.figures.style import GREY, MODALITY_COLORS, STYLE, WIDTH, Drawn, legend, save, short
from ramer.reporting.training_curves import SCORE_OF_ENCODERS, SCORE_OF_METHODS, by_epoch


def encoder_curves(histories: Mapping[str, pd.DataFrame]) -> Drawn:
    """Validation weighted F1 and both losses of every modality's encoder over epochs."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
        axes = figure.subplots(2, len(histories), sharex="col", sharey="row", squeeze=False)
        for column, (modality, history) in zip(axes.T, histories.items(), strict=True):
            color = MODALITY_COLORS[modality]
            _curve(column[0], history, SCORE_OF_ENCODERS, color, "validation", scale=100)
            _curve(column[1], history, "train_loss", GREY, "training")
            _curve(column[1], history, "val_loss", color, "validation")
            column[0].set_title(modality)
            column[1].set_xlabel("epoch")
        axes[0, 0].set_ylabel("weighted F1, points")
        axes[1, 0].set_ylabel("loss")
        axes[1, -1].legend(frameon=False, handlelength=1)
        return save(figure)


def method_curves(histories: Mapping[str, pd.DataFrame], colors: Mapping[str, str], means: Collection[str]) -> Drawn:
    """The score that selects, on validation rows over epochs, for every method trained by epochs.

    Args:
        means: methods of several heads, whose curve is the heads' mean and not the method's own score.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.2 + 0.12 * len(histories)), layout="constrained")
        axis = figure.subplots()
        for name, history in histories.items():
            label = f"{short(name)} (mean of heads)" if name in means else short(name)
            _curve(axis, history, SCORE_OF_METHODS, colors[name], label, scale=100, style=":" if name in means else "-")
        axis.set_xlabel("epoch")
        axis.set_ylabel("validation weighted F1, points")
        legend(figure, len(histories))
        return save(figure)


def _curve(
    axis: Axes, history: pd.DataFrame, column: str, color: str, label: str, scale: float = 1.0, style: str = "-"
) -> None:
    if column not in history:
        return
    table = by_epoch(history, column) * scale
    epochs = table.index.to_numpy()
    if table.shape[1] > 1:
        axis.fill_between(epochs, table.min(axis=1), table.max(axis=1), color=color, alpha=0.16, linewidth=0)
    axis.plot(epochs, table.mean(axis=1), style, color=color, linewidth=1.8, label=label)
