"""What other people's code warns its own authors of, left out while it runs."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_filters: warnings.catch_warnings[None] | None = None


@contextmanager
def without_user_warnings() -> Iterator[None]:
    """Ignore ``UserWarning``; sound and pictures are made in two threads, which share Python's one list of filters.

    The list is restored when the last of them has left: each restoring its own would leave the other's behind.
    """
    global _inside, _filters
    with _lock:
        if not _inside:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("ignore", UserWarning)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _filters is not None:
                _filters.__exit__(None, None, None)
                _filters = None
