"""Names in any script on a figure: a font that has their letters where one is installed, else a number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from matplotlib.font_manager import FontEntry, findfont, fontManager, get_font

PLAIN = "DejaVu Sans"  # comes with matplotlib: figures that need no other are the same everywhere
_LAST_RESORT = "Last Resort"  # draws a box for every letter there is


def families(names: Sequence[str]) -> list[str]:
    """The plain font and, where it lacks letters of the names, installed ones that have them."""
    chosen = [PLAIN]
    lacking = {ord(c) for name in names for c in name if not c.isspace()} - _letters(findfont(PLAIN))
    while lacking:
        held = {font.name: lacking & _letters(font.fname) for font in _installed()}
        best = max(sorted(held), key=lambda name: len(held[name]), default="")
        if not best or not held[best]:
            break
        chosen.append(best)
        lacking -= held[best]
    return chosen


def drawable(names: Sequence[str]) -> list[str]:
    """The names as they can be drawn: a name with a letter that no installed font has is its number, from 1."""
    held = {letter for family in families(names) for letter in _letters(findfont(family))}
    return [name if {ord(c) for c in name if not c.isspace()} <= held else str(n) for n, name in enumerate(names, 1)]


def key(names: Sequence[str]) -> str:
    """What the numbers on a figure stand for, "" where the names themselves stand there."""
    shown = drawable(names)
    return "; ".join(f"{number}: {name}" for number, name in zip(shown, names, strict=True) if number != name)


def _installed() -> list[FontEntry]:
    return [font for font in fontManager.ttflist if font.style == "normal" and _LAST_RESORT not in font.name]


@lru_cache(maxsize=4096)
def _letters(path: str) -> frozenset[int]:
    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError):  # listed in matplotlib's cache, and taken away since or damaged
        return frozenset()
