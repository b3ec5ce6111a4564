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

    class Impatient(H11Protocol):
        """Closes a connection on which no request has begun in time: its headers may come byte by byte."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(bounds.other_seconds, self._give_up)

        def _give_up(self) -> None:
            if self.conn.their_state is h11.IDLE:
                self.transport.close()

    config = uvicorn.Config(
        app,
        log_level="warning",
        http=cast(type[asyncio.Protocol], Impatient),
        limit_concurrency=bounds.connections,
        backlog=_BACKLOG,
    )
    return _Server(config)


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
