"""How long a slow store is waited for: words meanwhile, and an end."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from types import FrameType
from urllib.parse import SplitResult, urlsplit

log = logging.getLogger(__name__)

_SILENT_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
# What ends the work once more if a library has swallowed the first; until then a failed run may be marked as one.
_AGAIN_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}


class OverdueError(BaseException):
    """The time that is allowed is over. What stands between catches an ``Exception`` and tries again."""


class Waiting:
    """What is being done with the store, said every quarter of a minute.

    Attributes:
        doing: the present step, in words.
    """

    def __init__(self, store: str, timeout_s: float) -> None:
        self.store = store
        self.timeout_s = timeout_s
        self.doing = "first contact"
        self._started = time.monotonic()
        self._done = threading.Event()

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """Say what is being done as long as the context lasts, and end it by an ``OverdueError`` after ``timeout_s``.

        Only the main thread can be interrupted: in another one the single requests alone have an end.
        """
        teller = threading.Thread(target=self._tell, name="tracking-progress", daemon=True)
        teller.start()
        try:
            with self._alarm():
                yield
        finally:
            self._done.set()
            teller.join()

    @contextlib.contextmanager
    def _alarm(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ring(_signal: int, _frame: FrameType | None) -> None:
            raise OverdueError(f"not done after {self.timeout_s:.0f} s")

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, self.timeout_s, _AGAIN_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _tell(self) -> None:
        while not self._done.wait(_SILENT_SECONDS):
            passed = time.monotonic() - self._started
            log.info(
                "logging to MLflow at %s: %s (%.0f s, given up after %.0f)",
                self.store,
                self.doing,
                passed,
                self.timeout_s,
            )


def probe(uri: str) -> None:
    """Connect to the host of a URI, if it names one: one that is down is found out in seconds.

    Raises:
        OSError: the host is unknown, refuses, or is silent.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:  # whose text would show a part of the password, as the next one's
        raise OSError("its address cannot be read; a `[` in a password is written %5B") from None
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        raise OSError("its address has a port that is no number; a `/` in a password is written %2F") from None
    if parts.hostname is None or port is None or _through_proxy(parts):
        return
    try:
        socket.create_connection((parts.hostname, port), timeout=_CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        said = (error.strerror if isinstance(error, OSError) else None) or error
        raise OSError(f"cannot connect to {parts.hostname}:{port}: {said}") from None


def _through_proxy(parts: SplitResult) -> bool:
    return parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname or "")
