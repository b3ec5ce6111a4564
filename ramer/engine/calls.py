"""One call of a function, wherever it runs: what it returned or raised, and what it logged on the way."""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import queue
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")
_calling = False


@dataclass
class Done(Generic[Result]):
    """A call that has ended.

    Attributes:
        value: what it returned.
        error: what it raised instead.
        logged: in the process that it ran in, where that is another one.
    """

    value: Result | None = None
    error: BaseException | None = None
    logged: list[logging.LogRecord] = field(default_factory=list)

    def result(self) -> Result:
        """What the call returned; raises what it raised. What it logged elsewhere is logged here."""
        for record in self.logged:
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        if self.error is not None:
            raise self.error
        return cast(Result, self.value)  # of a call that raised nothing


def in_call() -> bool:
    """Whether this process is in a call that ``map`` makes."""
    return _calling


def call_here(function: Callable[[Item], Result], item: Item) -> Done[Result]:
    """Call in the caller's own process."""
    with _marked():
        try:
            return Done(function(item))
        except Exception as error:
            return Done(error=error)


@dataclass(frozen=True)
class Job:
    """What a worker is told once: the function, all items and the level of the log."""

    function: Callable[[Any], Any]
    items: Sequence[Any]
    level: int

    @classmethod
    def packed(cls, function: Callable[[Any], Any], items: Sequence[Any]) -> bytes:
        """Of this process, pickled."""
        return pickle.dumps(cls(function, items, logging.getLogger().getEffectiveLevel()))


def work_on(told: bytes, numbers: Iterable[int]) -> Iterator[bytes]:
    """Call a worker's job for one item after the other; yields each pickled ``Done``."""
    try:
        job: Job = pickle.loads(told)  # noqa: S301  # from our own parent
    except Exception as error:
        told_error = "".join(traceback.format_exception(error))
        failed = RuntimeError(f"a worker cannot load what it is to call: {error}\n{told_error}")
        yield from (pickle.dumps(Done(error=failed)) for _ in numbers)
    else:
        yield from (_call_packed(job, number) for number in numbers)


def _call_packed(job: Job, number: int) -> bytes:
    """Call for one item in a worker; returns the pickled ``Done``."""
    kept = _Kept(job.level)
    root = logging.getLogger()
    root.addHandler(kept)
    root.setLevel(job.level)
    try:
        done = call_here(job.function, job.items[number])
    finally:
        root.removeHandler(kept)
    done.logged = kept.records
    if done.error is not None and type(done.error).__module__ != "ramer.errors":
        done.error.add_note("in a worker:\n" + "".join(traceback.format_exception(done.error)))
    try:
        packed = pickle.dumps(done)
        pickle.loads(packed)  # noqa: S301  # our own; an exception that wants other arguments fails here, not there
        return packed
    except Exception as error:
        told = "".join(traceback.format_exception(done.error)) if done.error is not None else ""
        return pickle.dumps(Done(error=RuntimeError(f"what a worker returned cannot be sent: {error}\n{told}")))


class _Kept(logging.handlers.QueueHandler):
    """Keeps records in a form that can be pickled."""

    def __init__(self, level: int) -> None:
        super().__init__(queue.SimpleQueue())  # which stays empty
        self.setLevel(level)
        self.records: list[logging.LogRecord] = []

    def enqueue(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def _marked() -> Iterator[None]:
    global _calling
    before, _calling = _calling, True
    try:
        yield
    finally:
        _calling = before
