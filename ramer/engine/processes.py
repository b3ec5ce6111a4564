"""Calls in several processes of this machine. This process is one of them, and works while the others start.

The others are new interpreters and nothing is forked, so it is the same with CUDA, with pools of threads and on every
Python. A start costs a second or two of another core: work that is over before costs nothing of the kind.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from ramer.engine.calls import Done, Job, call_here, work_on
from ramer.errors import RamerError
from ramer.loading import loading

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

START_SECONDS = 3.0  # of a core, that a start takes: work that would be over by then is done here
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_LOOK_SECONDS = 0.1  # between two looks at how long the work takes
_START = "import sys; sys.path[:] = sys.argv[4:]; from ramer.engine.processes import serve; serve(*sys.argv[1:4])"


def run_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, threads: int, gpus: int = 0
) -> Generator[tuple[int, Done[Result]], None, None]:
    """Numbers of items and what their calls gave, as they end; other processes are gone when the iteration ends.

    Args:
        workers: processes, this one included. threads: of each.
        gpus: that they share; the first is this process', and each of the others sees one alone.
    """
    work, told = _Work(len(items)), Job.packed(function, items)
    killed = _killed(workers * threads)
    seen = _gpus_of_workers(workers, gpus)
    helpers = [_Helper(work, told, threads, killed, gpu) for gpu in seen[1:]]
    for helper in helpers:
        helper.start()
    try:
        for _ in items:
            if work.ended.empty() and (number := work.take()) is not None:
                done = call_here(function, items[number])
            else:
                number, done = work.ended.get()
            if done.error is not None:
                work.close()  # those before it are taken, so they will end
            yield number, done
    finally:
        work.close()
        for helper in helpers:
            helper.end()


class _Work:
    """The items that nobody has taken yet, and what other processes have ended."""

    def __init__(self, items: int) -> None:
        self._items = items
        self._left = iter(range(items))
        self._taken, self._begun = 0, time.monotonic()
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.ended: queue.SimpleQueue[tuple[int, Done[Any]]] = queue.SimpleQueue()

    def take(self) -> int | None:
        """The number of the next item; None when all are taken."""
        with self._lock:
            number = next(self._left, None)
            self._taken += number is not None
        if number is None:
            self.over.set()
        return number

    @property
    def lasts(self) -> bool:
        """Whether what is left, at the pace so far, takes this process longer than another one takes to start."""
        ended = max(1, self._taken - 1)  # the first one sets the pace from its beginning
        return (self._items - self._taken) * (time.monotonic() - self._begun) / ended >= START_SECONDS

    def close(self) -> None:
        """Let nobody take another."""
        with self._lock:
            self._left = iter(range(0))
        self.over.set()


class _Helper(threading.Thread):
    """Hands items to one other process, which it starts when the work has shown to last."""

    def __init__(self, work: _Work, told: bytes, threads: int, killed: RamerError, gpu: str | None) -> None:
        super().__init__(daemon=True)
        self._work, self._told, self._threads, self._killed = work, told, threads, killed
        self._environment = None if gpu is None else {**os.environ, _VISIBLE: gpu}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        while not self._work.lasts:
            if self._work.over.wait(_LOOK_SECONDS):
                return
        ours, theirs = Pipe()
        with ours, theirs, self._lock:
            if self._work.over.is_set():
                return
            told = [str(theirs.fileno()), str(os.getpid()), str(self._threads), *sys.path]
            command = [sys.executable, "-c", _START, *told]
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=self._environment
                )
            except OSError as error:
                logger.warning("no other process could be started: %s", error)
                return
            pipe = Connection(os.dup(ours.fileno()))
        with pipe:
            self._hand_out(pipe)

    def _hand_out(self, pipe: Connection) -> None:
        try:
            pipe.send_bytes(self._told)
            pipe.recv_bytes()  # it is there: an item is taken only now, so that none waits for a slow start
        except OSError:
            return
        except EOFError:
            if not self._work.over.is_set():
                logger.warning("a worker process ended as it started; this one goes on without it")
            return
        while (number := self._work.take()) is not None:
            try:
                pipe.send(number)
                done = pickle.loads(pipe.recv_bytes())  # noqa: S301  # from our own worker
            except (EOFError, OSError):
                done = Done(error=self._killed)
            self._work.ended.put((number, done))
            if done.error is not None:
                return

    def end(self) -> None:
        """Have the process gone, whatever it is doing."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
        self.join()
        if self._process is not None:
            self._process.wait()


def _killed(cores: int) -> RamerError:
    """Of one that shared so many cores with the others: ``RAMER_WORKERS`` counts cores."""
    return RamerError(f"a worker process was killed, most likely for want of memory: set RAMER_WORKERS below {cores}")


def _gpus_of_workers(workers: int, gpus: int) -> list[str | None]:
    """What names the GPU of each worker, None where it is what they all see.

    An item's device names no GPU among several: a worker that is quick would take one for the GPU of another.
    """
    if gpus < 2:
        return [None] * workers
    named = os.environ.get(_VISIBLE, "")
    visible = named.split(",") if named else [str(number) for number in range(gpus)]
    return [visible[number % gpus].strip() for number in range(workers)]


def serve(descriptor: str, parent: str, threads: str) -> None:
    """Answer numbers of items with what their calls gave, until the parent is gone.

    Args:
        descriptor: of the pipe to the parent. parent: its process. threads: to compute with.
    """
    from ramer.progress import become_worker

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    become_worker()
    with Connection(int(descriptor)) as pipe, suppress(EOFError, OSError), ExitStack() as while_loading:
        while_loading.enter_context(loading())
        told = pipe.recv_bytes()
        for done in work_on(told, _numbers(pipe, int(threads), while_loading)):
            pipe.send_bytes(done)


def _numbers(pipe: Connection, threads: int, while_loading: ExitStack) -> Iterator[int]:
    """Asked for once what is to be called is loaded: says so first."""
    from ramer.seeding import set_threads

    set_threads(threads)
    while_loading.close()
    pipe.send_bytes(b"")
    while True:
        yield pipe.recv()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
