"""``ramer neighbours``: which clips stand in for what a clip lacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ramer.commands import options
from ramer.starting import check_printing

if TYPE_CHECKING:
    from rich.table import Table

    from ramer.serving.explain import Explained


def neighbours(
    clip: Annotated[str, typer.Argument(help="Id of a clip of the project's corpus, or an npz with ids and A, V, L.")],
    available: Annotated[
        str, typer.Option(help="What the clip is taken to have, letters of a, v, t; all that it has by default.")
    ] = "avt",
    model: options.Model = Path("."),
    method: options.Method = None,
) -> None:
    """Show which clips stand in for what a clip lacks.

    Ids, scores and labels, as one replicate finds them: the first that tests the clip, else the first.
    """
    from rich.console import Console

    from ramer.serving.explain import explain_clip, explain_features
    from ramer.serving.features import check_letters

    check_printing()
    check_letters(available, "--available")
    if clip.endswith(".npz"):
        found = explain_features(model, Path(clip), available, method)
    else:
        found = [explain_clip(model, clip, available, method)]
    console = Console()
    # Files and pipes get whole lines, whatever the width of a terminal would be.
    (console if console.is_terminal else Console(width=200)).print(_table(found))


def _table(explained: list[Explained]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ramer.modalities import LETTERS

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("clip", "has", "for", "neighbour"):
        table.add_column(name, overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("label")
    for asked in explained:
        has = "".join(LETTERS[m] for m in asked.available) or "nothing"
        for near in asked.neighbours:
            cells = (asked.id, has, near.target, near.id, f"{near.score:.4f}", near.label or "")
            table.add_row(*(Text(cell) for cell in cells))
        if not asked.neighbours:
            table.add_row(*(Text(cell) for cell in (asked.id, has, "", "none", "", "")))
    return table
