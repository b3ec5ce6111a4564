"""What requests cost ``ramer serve`` in memory: large uploads, many slow clients, and JSON of brackets."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.served_project import METHODS, build_project
from tests.support.tracked import start
from tests.support.web_servers import port_of

pytestmark = pytest.mark.slow

MB = 1_000_000
CLIP = "POST /predict?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
JSON = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"


@dataclass(frozen=True)
class Serving:
    process: subprocess.Popen[str]
    port: int

    def peak_mb(self) -> float:
        """The most memory that the process has held so far."""
        said = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", said)[0]) / 1000

    def send(self, head: str, body: bytes, times: int = 1) -> str:
        """The status of a request whose body is so many times ``body``."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(f"{head}Content-Length: {len(body) * times}\r\n\r\n".encode())
                for _ in range(times):
                    client.sendall(body)
            with contextlib.suppress(ConnectionError):
                return client.recv(100).decode().split(" ")[1]
        return "closed"


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    if not sys.platform.startswith("linux"):
        pytest.skip("the most memory of another process is read from /proc")
    project = build_project(tmp_path / "project", {"late_product": METHODS["late_product"]})
    line = ("-m", "ramer.cli", "serve", "--model", str(project), "--port", "0")
    process = start(tmp_path, {"PYTHONUNBUFFERED": "1"}, *line)
    made = Serving(process, port_of(process))
    try:
        for _ in range(3):  # what is loaded with the first answers
            assert made.send(JSON, b'{"records": [{}]}') == "200"
            made.send(CLIP, b"no film")
        yield made
    finally:
        process.terminate()
        process.communicate(timeout=60)


def together(serving: Serving, many: int, head: str, body: bytes, times: int = 1) -> list[str]:
    """The statuses of so many requests at once."""
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(serving.send(head, body, times))) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def test_requests_are_bounded_in_memory(serving: Serving) -> None:
    usual = serving.peak_mb()
    assert set(together(serving, 2, CLIP, bytes(MB), 199)) <= {"200", "400", "408"}  # on the disk, not in memory
    assert serving.peak_mb() < usual + 100
    with contextlib.ExitStack() as stack:
        for number in range(50):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", serving.port), timeout=60))
            head = JSON if number % 2 else CLIP
            client.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + bytes(1000))
        began = time.monotonic()
        assert serving.send("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"") == "200"
        assert time.monotonic() - began < 20
    assert serving.peak_mb() < usual + 100
    brackets = b'{"records": [{"audio": [' + b"[]," * (5 * MB) + b"[]]}]}"
    assert set(together(serving, 4, JSON, brackets)) <= {"400", "503"}
    assert serving.peak_mb() < usual + 300, "a list of 15 MB of brackets takes 340 MB when it is read"
