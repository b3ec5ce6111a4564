"""A progress bar with the time left, and the remarks of a run above it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_LOGGER = "ramer.extraction"
_LINE_EVERY_SECONDS = 30.0


@contextmanager
def shown_progress(*, bar: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show remarks and progress on stderr: a bar on a terminal, a line now and then elsewhere.

    Args:
        bar: leave it out where something else draws one.
    """
    console = Console(stderr=True, soft_wrap=True)
    handler = _ConsoleHandler(console)
    logger = logging.getLogger(_LOGGER)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        if bar and console.is_terminal:
            with _bar(console) as drawn:
                task = drawn.add_task("clips", total=None)
                yield lambda done, total: drawn.update(task, completed=done, total=total)
        else:
            yield _Lines(logger)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        # A clip's name is data: brackets in it are not markup.
        self.console.print(record.getMessage(), markup=False, highlight=False, emoji=False, soft_wrap=True)


class _Lines:
    """Progress where there is no terminal: one line every half minute."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.start = self.last = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        self.first = done if self.first is None else self.first
        now = time.monotonic()
        if now - self.last < _LINE_EVERY_SECONDS or done == self.first:
            return
        self.last = now
        left = (now - self.start) / (done - self.first) * (total - done)
        self.logger.info("%d of %d clips, about %d min left", done, total, round(left / 60))


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console)
