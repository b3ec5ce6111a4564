"""Loading libraries in less time: much of what a short stage takes is Python loading torch and pandas.

A third of it gives nothing: Python's garbage collector goes through hundreds of thousands of new objects again and
again while modules load, and finds next to nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """For a block that imports: nothing is collected, and what was loaded is never gone through again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
