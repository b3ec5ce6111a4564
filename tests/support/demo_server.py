"""The page's server in this process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from fastapi import FastAPI

from ramer.serving.demo.bounds import Bounds
from ramer.serving.demo.server import make_server


@contextlib.contextmanager
def answering(app: FastAPI, bounds: Bounds) -> Iterator[str]:
    """An application on a free port of loopback until the context ends: its address."""
    server = make_server(app, bounds)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
