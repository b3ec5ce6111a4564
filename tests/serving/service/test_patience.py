"""How long a connection is kept whose client sends, or takes, byte by byte; and that one in use is kept."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ramer.serving.predictor import Predictor
from ramer.serving.raw_clips import SharedReader
from ramer.serving.service.http_app import BOUNDS, build_service
from tests.support.web_servers import answering

pytestmark = pytest.mark.slow
SHORT = replace(BOUNDS, other_seconds=1.0, upload_seconds=1.0, connections=12)
HOST = b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
# What begins a request, and what is sent again and again afterwards.
TRICKLED = {
    "the body of an answered request": (b"GET /health" + HOST + b"Content-Length: 100000000\r\n\r\n", b"a"),
    "chunks": (b"GET /health" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "what is found nowhere": (b"POST /nothing" + HOST + b"Content-Length: 1000000\r\n\r\n", b"a"),
    "records": (b"POST /predict" + HOST + b"Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n", b" "),
    "a first head": (b"GET /health" + HOST + b"X: ", b"a"),
    "a second head": (b"GET /health" + HOST + b"\r\nGET /health" + HOST + b"X: ", b"a"),
}


@pytest.fixture(scope="module")
def port(served: Path) -> Iterator[int]:
    predictor = Predictor.load(served)
    with answering(build_service(predictor, SharedReader.open(predictor), bounds=SHORT), SHORT) as address:
        yield int(address.rsplit(":", 1)[1])


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def seconds_kept(client: socket.socket, drop: bytes, most: float = 8.0) -> float:
    """How long a server takes what is trickled to it."""
    started = time.monotonic()
    client.settimeout(0.1)
    while time.monotonic() - started < most:
        try:
            client.sendall(drop)
            if client.recv(65536) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - started


@pytest.mark.parametrize("case", TRICKLED)
def test_what_comes_byte_by_byte_ends_in_time(port: int, case: str) -> None:
    begun, drop = TRICKLED[case]
    with connected(port) as client:
        client.sendall(begun)
        # Records have their own time first: until they are here.
        assert seconds_kept(client, drop) < 2 * SHORT.other_seconds + 2


def test_bodies_of_answered_requests_do_not_keep_all_places(port: int) -> None:
    begun, drop = TRICKLED["the body of an answered request"]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(port)) for _ in range(SHORT.connections)]
        for client in clients:
            client.sendall(begun)
        started = time.monotonic()
        while time.monotonic() - started < SHORT.other_seconds + 2:
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(drop)
            time.sleep(0.2)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200


def test_answers_that_nobody_takes_end_in_time(port: int) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.settimeout(0.5)
        ended = select.poll()
        ended.register(client, 0)  # tells without taking anything
        with contextlib.suppress(OSError):
            while True:  # until neither side takes more
                client.sendall(100 * (b"GET /health" + HOST + b"\r\n"))
        assert ended.poll(40_000)


def test_a_connection_that_is_used_is_kept(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.connect()
        own = connection.sock
        for _ in range(8):  # four times its patience
            connection.request("GET", "/health")
            assert connection.getresponse().read().startswith(b'{"status"')
            time.sleep(0.5)
        assert connection.sock is own
