"""Texts as long as a page of MLflow has room for, and a store keeps."""

from __future__ import annotations

from collections.abc import Sequence

LINE = 250  # characters of a tag that the UI shows without a scroll bar


def cut(text: str, most: int) -> str:
    """A text of at most so many characters.

    Example:
        >>> cut("what is left out", 8)
        'what is…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def one_line(text: str, most: int = LINE) -> str:
    """A text as a tag: its lines behind one another, cut where it grows too long."""
    return cut(" ".join(text.split()), most)


def named(names: Sequence[str], most: int = LINE) -> str:
    """As many names as a line takes, and how many more there are.

    Example:
        >>> named(["a.py", "b.py", "c.py"], most=15)
        'a.py and 2 more'
    """
    for shown in range(len(names), 0, -1):
        more = len(names) - shown
        text = ", ".join(names[:shown]) + (f" and {more} more" if more else "")
        if len(text) <= most:
            return text
    return cut(", ".join(names), most)
