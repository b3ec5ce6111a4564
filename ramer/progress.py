"""Progress of long work on a terminal; nothing at all elsewhere."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
_drawing = False
_worker = False


def become_worker() -> None:
    """Leave the terminal to the parent process from now on."""
    global _worker
    _worker = True


def in_worker() -> bool:
    """Whether this process is one of several: the terminal then belongs to its parent."""
    return _worker or multiprocessing.parent_process() is not None


def track(steps: Sequence[T] | Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over ``steps`` with a bar on stderr that goes away when done; one process alone draws.

    Inside of another one's steps nothing is drawn: two bars would write over each other.

    Args:
        total: number of steps, where ``steps`` has no length.
    """
    global _drawing
    if _drawing or in_worker() or not _may_be_terminal():
        yield from steps
        return
    import rich.progress  # only here: most runs draw nothing, and it takes a while to load
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from steps
        return
    _drawing = True
    try:
        yield from rich.progress.track(steps, description, total, console=console, transient=True)
    finally:
        _drawing = False


def _may_be_terminal() -> bool:
    return sys.stderr.isatty() or any(os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))
