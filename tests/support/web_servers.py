"""Servers of the demo and of the service: in this process, and the port of one in another."""

from __future__ import annotations

import contextlib
import socket
import subprocess
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
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
        assert not thread.is_alive()


def port_of(process: subprocess.Popen[str]) -> int:
    """Of a server that was started as a command, and says its address in its first line."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("http://127.0.0.1:"), line
    return int(line.split()[0].rsplit(":", 1)[1])
