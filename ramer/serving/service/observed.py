"""Every request counted and logged, as one line of JSON; neither its content nor its address' query is."""

from __future__ import annotations

import datetime
import json
import logging
import time
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ramer.serving.service.figures import Figures

log = logging.getLogger(__name__)


class Observed:
    """ASGI middleware, the outermost.

    Args:
        figures: that are told.
        paths: that are counted by themselves; any other is ``other``, for strangers could name as many as they like.
    """

    def __init__(self, app: ASGIApp, figures: Figures, paths: Collection[str]) -> None:
        self.app = app
        self.figures = figures
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.figures.begin()
        try:
            await self.app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - start
            path = scope["path"] if scope["path"] in self.paths else "other"
            self.figures.end(path, status, seconds)
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            line = {
                "time": now,
                "method": scope["method"],
                "path": path,
                "status": status,
                "ms": round(1000 * seconds, 1),
            }
            log.info("%s", json.dumps(line))
