"""Servers of MLflow on loopback, as a user starts them."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

# What is answered to a request, of which the host and the body are told: status, type and content.
Reply = Callable[[BaseHTTPRequestHandler, str, bytes], tuple[int, str, bytes]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mlflow_server(*command: str, health: str, folder: Path, seconds: float, **environment: str) -> Iterator[str]:
    """``mlflow <command>`` with one worker until the context ends: its address, once it answers.

    Args:
        health: path that answers with 200 when the server is up.
        folder: where it runs and keeps its log, which a server that does not come up is reported with.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command, *options],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + seconds
        while not _answers(f"{address}{health}"):
            said = (folder / "log").read_text("utf-8")
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def read_body(asked: BaseHTTPRequestHandler) -> bytes:
    return asked.rfile.read(int(asked.headers.get("Content-Length") or 0))


def pass_on(asked: BaseHTTPRequestHandler, host: str, body: bytes) -> tuple[int, str, bytes]:
    """A request as another server answers it: status, type and content."""
    connection = http.client.HTTPConnection(host, timeout=60)
    kept = {name: value for name, value in asked.headers.items() if name != "Host"}
    connection.request(asked.command, asked.path, body, kept)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.getheader("Content-Type") or "application/json", content


@contextlib.contextmanager
def slowed(address: str, seconds: Callable[[int], float]) -> Iterator[str]:
    """A server in front of another that passes everything on, late: its address.

    Args:
        seconds: of the number of the request, from 0, how long it lies before it is passed on.
    """
    count = iter(range(10**9))

    def late(asked: BaseHTTPRequestHandler, host: str, body: bytes) -> tuple[int, str, bytes]:
        time.sleep(seconds(next(count)))
        return pass_on(asked, host, body)

    with _before(address, late) as passing:
        yield passing


@contextlib.contextmanager
def without(address: str, *parts: str) -> Iterator[str]:
    """A server in front of another that knows no address with one of these parts in it, as an older one would not."""

    def older(asked: BaseHTTPRequestHandler, host: str, body: bytes) -> tuple[int, str, bytes]:
        if any(part in asked.path for part in parts):
            return 404, "text/html", b"<!doctype html><title>404 Not Found</title>"
        return pass_on(asked, host, body)

    with _before(address, older) as passing:
        yield passing


@contextlib.contextmanager
def _before(address: str, reply: Reply) -> Iterator[str]:
    host = urlsplit(address).netloc

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            status, kind, content = reply(self, host, read_body(self))
            with contextlib.suppress(OSError):  # whoever asked has given up
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
