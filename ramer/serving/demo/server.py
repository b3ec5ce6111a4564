"""The page's server: uvicorn, with patience that ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Any, cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from ramer.errors import in_one_line
from ramer.serving.demo.bounds import Bounds

log = logging.getLogger(__name__)

_SILENCE_S = 10.0  # between two lines on connections that were not taken
_BACKLOG = 128  # connections that wait; asyncio tries each of them again where no file is left


def serve(app: FastAPI, listening: socket.socket, bounds: Bounds) -> None:
    """Answer on a socket until the process is told to stop."""
    make_server(app, bounds).run(sockets=[listening])


def make_server(app: FastAPI, bounds: Bounds) -> uvicorn.Server:
    """The server, not yet running."""

    class Impatient(_Impatient):
        """With the bounds' patience."""

        patience_s = bounds.other_seconds

    config = uvicorn.Config(
        app,
        log_level="warning",
        http=cast(type[asyncio.Protocol], Impatient),
        limit_concurrency=bounds.connections,
        backlog=_BACKLOG,
        ws="none",  # nothing here speaks it
    )
    return _Server(config)


class _Impatient(H11Protocol):
    """Closes a connection whose client keeps it for longer than its patience without a request that is here.

    The client is waited for from the connection or the last answer on, until the head of the next request is here:
    what is left of the body of an answered one, and a head, may come byte by byte. While a request is being answered,
    its body's time and its work's are bounded elsewhere, but not how slowly the answer is taken.

    Attributes:
        patience_s: in seconds.
    """

    patience_s: float
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Of a request that is none; where its answer has begun already, nothing more can be said."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _watch(self) -> None:
        answered = self.cycle is None or self.cycle.response_complete
        if not answered and not self.flow.write_paused:
            self._stop_waiting()
        elif self._deadline is None:  # not a new one for every byte
            # Closing would wait for a client that does not take what is left to send.
            self._deadline = self.loop.call_later(self.patience_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


# What accepting a connection fails with while there is too little of something.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class _Server(uvicorn.Server):
    """Says what the system refuses to it: too many open files, after which it tries again in a second."""

    _next = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._tell)
        await super().startup(sockets)

    def _tell(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
            loop.default_exception_handler(context)
        elif loop.time() >= self._next:  # asyncio tells it for every connection that waits
            self._next = loop.time() + _SILENCE_S
            log.warning("warning: a connection was not taken: %s", in_one_line(error))
