"""Replicates side by side: each has its own seed, so the order in which they run changes no bit of a result."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ramer.errors import ConfigError, RamerError
from ramer.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")
_job: tuple[Callable[[Any], Any], Sequence[Any]] | None = None


def map_replicates(
    function: Callable[[Item], Result], items: Sequence[Item], description: str, *, threads: int, device: str
) -> list[Result]:
    """``[function(item) for item in items]`` in as many processes as there are cores to fill.

    The environment variable ``RAMER_WORKERS`` sets their number (memory grows with it). Processes are forked, so
    that nothing is loaded or read twice; a forked process can use neither a GPU nor a thread pool of its parent,
    hence with either all items run here.

    Args:
        function: run in a process of its own; what it returns is pickled.
        description: of the progress bar, which counts items where there are several.
        threads: ``runtime.threads``. device: as chosen.

    Raises:
        RamerError: what the function raised, or a worker that was killed (memory).
    """
    global _job
    workers = min(_wanted_workers(), len(items))
    forks = "fork" in multiprocessing.get_all_start_methods() and max(threads, _torch_threads()) == 1
    if workers < 2 or device != "cpu" or not forks:
        # A single one draws the bars of its own epochs.
        return [function(item) for item in (track(items, description) if len(items) > 1 else items)]
    _job = function, items
    # What the parent has not yet ended is not for a worker to end: it would wait for threads that were not forked with
    # it, such as those of a decoder of pictures.
    gc.collect()
    gc.freeze()
    try:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
            return list(track(pool.map(_run, range(len(items))), description, len(items)))
    except BrokenProcessPool:
        raise RamerError(
            f"a worker process was killed, most likely for want of memory: set RAMER_WORKERS below {workers}"
        ) from None
    finally:
        gc.unfreeze()
        _job = None


def _torch_threads() -> int:
    """Of this process. One that never fixed them may have a pool, for which a forked process would wait forever."""
    return int(sys.modules["torch"].get_num_threads()) if "torch" in sys.modules else 1


def _run(number: int) -> Any:
    assert _job is not None
    function, items = _job
    return function(items[number])


def _wanted_workers() -> int:
    asked = os.environ.get("RAMER_WORKERS", "")
    if not asked:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise ConfigError(f"RAMER_WORKERS: expected a whole number of at least 1, got {asked!r}")
    return int(asked)
