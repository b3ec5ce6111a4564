"""``ramer serve`` and ``ramer demo``: odd bytes on their sockets, too many connections, and no file left to open."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ramer import Predictor
from ramer.modalities import MODALITIES
from ramer.serving.demo.app import build_app
from ramer.serving.demo.bounds import Bounds
from ramer.serving.demo.session import Session
from ramer.serving.raw_clips import SharedReader
from ramer.serving.service.http_app import BOUNDS, build_service
from tests.campaign.attacking import Attack, mutated
from tests.campaign.commands import environment
from tests.support.served_project import corpus_of, raw_features, rows_of
from tests.support.tracked import start
from tests.support.web_servers import answering, port_of

pytestmark = pytest.mark.campaign

_PATIENT = 60.0
_SILENT = b"- nothing came"
_QUIET = 2.0  # seconds after which an answer has ended, where the connection is kept
_BUSY = ("503", "504")


@pytest.fixture(scope="module")
def ports(served: Path) -> Iterator[dict[str, int]]:
    """Of both servers, in this process; what does not arrive within a second is given up."""
    predictor = Predictor.load(served)
    reader = SharedReader.open(predictor)
    usual = {"serve": BOUNDS, "demo": Bounds()}
    bounds = {name: replace(one, upload_seconds=1.0, other_seconds=1.0) for name, one in usual.items()}
    apps = {
        "serve": build_service(predictor, reader, bounds=bounds["serve"]),
        "demo": build_app(Session(predictor, corpus_of(served), reader), bounds=bounds["demo"]),
    }
    with contextlib.ExitStack() as stack:
        addresses = {name: stack.enter_context(answering(app, bounds[name])) for name, app in apps.items()}
        yield {name: int(address.rsplit(":", 1)[1]) for name, address in addresses.items()}


def _message(line: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    of_body = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{head}{of_body}\r\n".encode() + body


def _whole(served: Path) -> dict[str, list[bytes]]:
    """What each server answers."""
    rows = rows_of(served)[:1]
    vectors = {m: v[0].tolist() for m, v in raw_features(served, rows).items()}
    record = {m: vectors[m] for m in MODALITIES if str(vectors[m][0]) != "nan"}
    asked = json.dumps({"records": [record, {}], "neighbours": True}).encode()
    token = str(corpus_of(served).ids[rows[0]])
    clip = _message("POST /predict?name=a.wav&transcript=well", b"RIFF" + bytes(200), "application/octet-stream")
    return {
        "serve": [_message("POST /predict", asked), clip, _message("GET /health", b""), _message("GET /metrics", b"")],
        "demo": [
            _message("POST /api/predict", json.dumps({"token": token, "available": ["audio"]}).encode()),
            _message("POST /api/clip?name=a.wav", b"RIFF" + bytes(200), "application/octet-stream"),
            _message(f"GET /api/corpus?clip={token}", b""),
            _message("GET /", b""),
        ],
    }


def _answered(port: int, sent: bytes) -> bytes:
    """What comes until the server closes, or has answered and goes quiet; nothing where it closes without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENT) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
        got = b""
        try:
            while block := client.recv(65536):
                got += block
                client.settimeout(_QUIET)
        except ConnectionError:
            pass
        except TimeoutError:
            return got or _SILENT
    return got


def _judged(answer: bytes) -> str:
    """``right``, ``refused`` or what is wrong with the first answer of a connection."""
    if answer == _SILENT:
        return "it hangs"
    if not answer:
        return "refused"  # closed: no request had come
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1].decode()
    if status.startswith("2"):
        return "right"
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    body = rest[: int(length[1])] if length else rest.strip()
    if (status.startswith("4") or status in _BUSY) and b"\n" not in body and b"Traceback" not in body:
        return "refused"
    return f"{answer[:300]!r}"


def test_odd_bytes_on_a_socket(attack: Callable[..., Attack], served: Path, ports: dict[str, int]) -> None:
    one = attack("ramer serve and ramer demo, odd bytes on their sockets", 1000, 40, minutes=1.5)
    whole = _whole(served)
    for rng in one.attempts(hangs_s=20):
        name = rng.choice(sorted(ports))
        sent = mutated(rng, rng.choice(whole[name]))
        said = _judged(_answered(ports[name], sent))
        alive = _answered(ports[name], whole[name][0]).startswith(b"HTTP/1.1 200")
        one.count(said if alive else f"after {sent[:200]!r}: it answers nobody else")


def _until_answered(port: int, asked: bytes) -> bool:
    deadline = time.monotonic() + _PATIENT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if _answered(port, asked).startswith(b"HTTP/1.1 200"):
                return True
        time.sleep(0.2)
    return False


def _crowd(process: subprocess.Popen[str], port: int, more: int, rng: random.Random) -> None:
    """Let the process open so many files more, and come with more connections than that; then leave."""
    most = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir(f"/proc/{process.pid}/fd"))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 1 + more, most[1]))
    with contextlib.ExitStack() as stack:
        for _ in range(more + 25):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=_PATIENT))
            client.sendall(rng.choice((b"", b"GET / HT", b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n")))
        deadline = time.monotonic() + _PATIENT
        while len(os.listdir(f"/proc/{process.pid}/fd")) <= used + more and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.5)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, most)


def test_servers_in_want_of_files(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("ramer serve and ramer demo, more connections than files may be open", 4, 2, minutes=0.5)
    whole = _whole(served)
    for rng in one.attempts():
        name = ("serve", "demo")[one.tried % 2]
        line = ("-m", "ramer.cli", name, "--model", str(served), "--port", "0")
        process = start(tmp_path, environment() | {"PYTHONUNBUFFERED": "1"}, *line)
        try:
            port = port_of(process)
            up = _until_answered(port, whole[name][0])
            _crowd(process, port, rng.randrange(5), rng)
            again = _until_answered(port, whole[name][0])
        finally:
            process.terminate()
            errors = process.communicate(timeout=_PATIENT)[1]
        if up and again and "Traceback" not in errors and "Too many open files; raise the limit" in errors:
            one.refused += 1
        else:
            one.went_wrong(f"{name}: up {up}, again {again}: {errors[-400:]}")
