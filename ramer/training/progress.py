"""Progress of long work on a terminal; nothing at all elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import rich.progress
from rich.console import Console

T = TypeVar("T")


def track(steps: Sequence[T], description: str) -> Iterator[T]:
    """Iterate over ``steps`` with a bar on stderr that goes away when done."""
    console = Console(stderr=True)
    bar = rich.progress.track(steps, description, console=console, transient=True, disable=not console.is_terminal)
    return iter(bar)
