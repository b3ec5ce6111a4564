"""What all figures share: colours, type, and bytes that are the same for the same results.

Figures are narrow with large type: on a phone 400 pixels wide the smallest letter is still nine pixels tall.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ramer.reporting.figures.fonts import PLAIN

# Four of Okabe and Ito's, then at every step the colour that is farthest from all before it in CIELAB, for normal
# sight, deuteranopia and protanopia (Machado et al., 2009) alike, among those with 3 to 1 on white.
PALETTE: tuple[str, ...] = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#003333", "#553300",
    "#002288", "#0077EE", "#333366", "#CC3344", "#665566", "#2299EE",
    "#FF5577", "#994400", "#0044BB", "#DD7744", "#337744", "#443322",
    "#006688", "#2299CC", "#334499", "#664444", "#553355", "#AA2288",
)  # fmt: skip
MODALITY_COLORS = {"audio": "#0072B2", "video": "#D55E00", "text": "#009E73"}
WIDTH = 4.6
SMALLEST = 9.0
INK, GREY, GRID = "#1f2328", "#6b727b", "#e6e8eb"
STYLE: Any = {
    "font.family": PLAIN,
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "xtick.labelsize": SMALLEST,
    "ytick.color": INK,
    "ytick.labelsize": SMALLEST,
    "legend.fontsize": SMALLEST,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # letters stay letters: publishers refuse the other kind
}
_LONG = 15
_LONGEST = 24  # letters of a line beside which there is still room for what it names


class Drawn(NamedTuple):
    """One figure as files hold it."""

    png: bytes
    pdf: bytes


def method_colors(names: Sequence[str]) -> dict[str, str]:
    """One colour for each of up to 24 methods by its place under ``methods``, the same all over the report."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def broken(name: str) -> str:
    """A long name on two lines, cut at an underscore, so that it leaves room for what it names."""
    cuts = [i + 1 for i, letter in enumerate(name) if letter == "_"]
    if len(name) <= _LONG or not cuts:
        return short(name)
    middle = min(cuts, key=lambda i: abs(2 * i - len(name)))
    return f"{short(name[:middle])}\n{short(name[middle:])}"


def short(name: str) -> str:
    """A name that fits a line: a longer one without its middle, for long names differ at their ends.

    Example:
        >>> short("surprise"), short("recordings_of_the_first_day_surprise")
        ('surprise', 'recordings_o…ay_surprise')
    """
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[1 - half :]}"


def legend(figure: Figure, entries: int) -> None:
    figure.legend(loc="outside lower center", ncols=2 if entries > 3 else 1, frameon=False)


def save(figure: Figure) -> Drawn:
    """The figure's bytes; neither the time nor the version of matplotlib is a part of them."""
    FigureCanvasAgg(figure)
    png, pdf = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=200, metadata={"Software": None})
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return Drawn(png.getvalue(), pdf.getvalue())
