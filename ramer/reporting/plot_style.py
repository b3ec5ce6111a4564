"""What all figures share: colours, sizes, and how a figure becomes bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ramer.reporting.fonts import PLAIN

# Okabe and Ito's palette without its yellow, then the colours of Tol's muted scheme that differ from it.
PALETTE: tuple[str, ...] = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#332288", "#882255", "#999933", "#AA4499", "#117733", "#88CCEE",
    "#003A5C", "#7A3600", "#004D38", "#7D4763", "#7F5800", "#1F5F86",
    "#8C86C9", "#D98FB5", "#CFCF7A", "#E3A6DB", "#6FBF87", "#5E7F99",
)  # fmt: skip


MODALITY_COLORS = {"audio": "#0072B2", "video": "#D55E00", "text": "#009E73"}


WIDTH = 6.4


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


def png(figure: Figure) -> bytes:
    # matplotlib names itself in a PNG unless told not to; the version must not be part of the bytes.
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()
