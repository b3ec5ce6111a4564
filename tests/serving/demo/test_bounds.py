"""What the page's server refuses, how soon, and that it answers others meanwhile."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer import Predictor
from ramer.serving.demo.app import build_app
from ramer.serving.demo.bounds import Bounds
from ramer.serving.demo.session import Session
from ramer.serving.raw_clips import ClipFeatures, ClipReader, SharedReader
from tests.support.disks import fill, small_disk
from tests.support.served_project import corpus_of, rows_of
from tests.support.web_servers import answering

pytestmark = pytest.mark.slow
SMALL = Bounds(clip_bytes=200_000, upload_seconds=2.0, other_seconds=1.0, reading_seconds=1.0, clips=2, connections=12)
STREAM = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}


class SlowReader(ClipReader):
    """Takes as long as it is told to for a file of any content."""

    def __init__(self, dims: dict[str, int]) -> None:
        self.dims = dims
        self.seconds = 0.0
        self.paths: list[Path] = []

    def read(self, path: Path | None, transcript: str | None = None) -> ClipFeatures:
        assert path is None or path.stat().st_size
        self.paths += [path] if path else []
        time.sleep(self.seconds)
        return ClipFeatures({m: np.ones(dim, np.float32) for m, dim in self.dims.items()}, {}, transcript)


@dataclass(frozen=True)
class Page:
    """A server in this process, and what reads its clips."""

    address: str
    port: int
    reader: SlowReader
    clip: str


@contextlib.contextmanager
def running(served: Path, bounds: Bounds) -> Iterator[Page]:
    predictor = Predictor.load(served)
    reader = SlowReader(predictor.dims)
    app = build_app(Session(predictor, corpus_of(served), SharedReader(reader)), bounds=bounds)
    with answering(app, bounds) as address:
        port = int(address.rpartition(":")[2])
        yield Page(address, port, reader, str(corpus_of(served).ids[rows_of(served)[0]]))


@pytest.fixture(scope="module")
def page(served: Path) -> Iterator[Page]:
    with running(served, SMALL) as made:
        yield made


def ask(page: Page, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and what is said, of a fault the one line."""
    request = urllib.request.Request(page.address + path, body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as fault:
        with fault:
            said = json.loads(fault.read())["error"]
            assert "\n" not in said
            return fault.code, said


def predict(page: Page, body: Any) -> tuple[int, Any]:
    return ask(page, "/api/predict", body if isinstance(body, bytes) else json.dumps(body).encode(), JSON)


MALFORMED: dict[str, tuple[Any, str]] = {
    "nothing": (b"", "body: Field required"),
    "no JSON": (b"{", "body.1: JSON decode error"),
    "a list": ([], "body: "),
    "an unknown field": ({"token": "x", "available": [], "face": 1}, "body.face: Extra inputs are not permitted"),
    "NaN": (b'{"token": NaN, "available": []}', "body.token: Input should be a valid string"),
    "NaN among the modalities": (b'{"token": "x", "available": [Infinity, NaN]}', "body.available.0: "),
    "no such modality": ({"token": "x", "available": ["face"]}, "face: no such modality, expected audio, video, text"),
    "deep": (b"[" * 30_000, "There was an error parsing the body"),
    "deep in a field": (b'{"token": "x", "available": ' + b"[" * 500 + b"]" * 500 + b"}", "body.available.0: "),
    "not UTF-8": (b'{"token": "\xff"}', "There was an error parsing the body"),
    "a token without end": ({"token": "x" * 20_000, "available": []}, "body.token: String should have at most"),
    "a lone surrogate": (b'{"token": "\\ud800", "available": []}', ""),
    "too large": (b" " * 65_000, "larger than 64 kB"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_question_is_refused_in_one_line(page: Page, case: str) -> None:
    body, said = MALFORMED[case]
    code, line = predict(page, body)
    assert 400 <= code < 500, line
    assert line.startswith(said), line
    assert predict(page, {"token": page.clip, "available": ["audio"]})[0] == 200


def test_every_answer_forbids_what_the_page_does_not_do(page: Page) -> None:
    for path in ("/", "/api/model", "/nothing"):
        try:
            with urllib.request.urlopen(page.address + path, timeout=30) as answer:
                headers = answer.headers
        except urllib.error.HTTPError as fault:
            headers = fault.headers
            fault.close()
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert headers["x-content-type-options"] == "nosniff", path


def test_a_file_that_is_too_large_is_refused_before_it_is_here(page: Page) -> None:
    head = f"POST /api/clip?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {STREAM['Content-Type']}\r\n"
    with connected(page, f"{head}Content-Length: 9000000000\r\n\r\n".encode()) as client:
        assert answered(client).startswith("HTTP/1.1 413")
    with connected(page, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()) as client:  # says nothing of its size
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        with contextlib.suppress(OSError):
            for _ in range(4):
                client.sendall(chunk)
        assert answered(client).startswith("HTTP/1.1 413")


@contextlib.contextmanager
def connected(page: Page, sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as client:
        client.sendall(sent)
        yield client


def answered(client: socket.socket) -> str:
    """What comes until the server closes or goes quiet."""
    client.settimeout(5)
    got = b""
    with contextlib.suppress(OSError):
        while b"}" not in got:
            block = client.recv(4096)
            if not block:
                break
            got += block
    return got.decode()


@pytest.mark.parametrize(
    "name", ["../../../tmp/mine.mp4", "/etc/cron.d/mine.mp4", "..%5Cmine.mp4", ".mp4.mp4", "a%00b.mp4"]
)
def test_a_clip_lies_under_a_name_of_our_own_and_is_gone_afterwards(page: Page, name: str) -> None:
    page.reader.paths.clear()
    assert ask(page, f"/api/clip?name={name}", b"film", STREAM)[0] == 200
    (path,) = page.reader.paths
    assert path.name == "clip.mp4"
    assert path.parent.name.startswith("ramer-demo-")
    assert not path.parent.exists()


def test_a_clip_that_finds_no_room_is_one_line_and_the_page_goes_on(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", 1_000_000) as disk:
        fill(disk, 8_000)
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        code, line = ask(page, "/api/clip?name=a.mp4", bytes(150_000), STREAM)
        assert (code, line) == (507, "a.mp4: No space left on device; free some space and run it again")
        assert [left.name for left in disk.iterdir()] == ["filler"]
        monkeypatch.undo()
    assert ask(page, "/api/clip?name=a.mp4", b"film", STREAM)[0] == 200


HALF = (
    b"POST /api/clip?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: 1000\r\n\r\nabc"
)


def test_slow_uploads_are_few_at_once_end_in_time_and_hold_nobody_up(page: Page) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(page, HALF)) for _ in range(SMALL.clips)]
        time.sleep(0.3)
        started = time.monotonic()
        code, line = ask(page, "/api/clip?name=b.mp4", b"film", STREAM)
        assert (code, line) == (503, "other clips are being read; try again in a moment")
        assert predict(page, {"token": page.clip, "available": ["audio"]})[0] == 200
        assert time.monotonic() - started < SMALL.upload_seconds
        for client in slow:
            assert answered(client).startswith("HTTP/1.1 408")
        assert time.monotonic() - started < SMALL.upload_seconds + 3
    assert ask(page, "/api/clip?name=b.mp4", b"film", STREAM)[0] == 200


def test_a_clip_that_is_read_for_too_long_is_given_up_and_keeps_its_place(page: Page) -> None:
    page.reader.seconds = 2.5
    try:
        code, line = ask(page, "/api/clip?name=a.mp4", b"film", STREAM)
        assert (code, line) == (504, "a.mp4: not read within 1 s")
        page.reader.seconds = 0.0
        assert ask(page, "/api/clip?name=a.mp4", b"film", STREAM)[0] == 504  # the first is still being read
        assert ask(page, "/api/clip?name=a.mp4", b"film", STREAM)[0] == 503
        assert ask(page, "/api/model")[0] == 200
        time.sleep(2.5)
        assert ask(page, "/api/clip?name=a.mp4", b"film", STREAM)[0] == 200
    finally:
        page.reader.seconds = 0.0


def test_connections_that_say_nothing_are_closed_and_are_few(page: Page) -> None:
    with contextlib.ExitStack() as stack:
        begun = [stack.enter_context(connected(page, b"GET / HT")) for _ in range(SMALL.connections - 2)]
        silent = [stack.enter_context(connected(page, b"")) for _ in range(40)]
        started = time.monotonic()
        for client in (*begun, *silent):
            client.settimeout(10)
            with contextlib.suppress(ConnectionError):
                assert client.recv(100) == b""
        assert time.monotonic() - started < SMALL.other_seconds + 3
    assert predict(page, {"token": page.clip, "available": ["audio"]})[0] == 200


@pytest.mark.parametrize(
    ("seconds", "size", "line"),
    [(12, 16, "the clip is 12 s long, expected at most 10"), (4, 256, "the clip holds ")],
    ids=["long", "many pixels"],
)
def test_a_film_that_is_too_long_or_too_large_is_refused_before_it_is_decoded(
    served: Path, tmp_path: Path, seconds: int, size: int, line: str
) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed (extra: extract)")
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = size
        for _ in range(10 * seconds):
            picture = av.VideoFrame.from_ndarray(np.zeros((size, size, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    bounds = replace(SMALL, clip_seconds=10, clip_pixels=100 * 128 * 128)
    with running(served, bounds) as page:
        code, said = ask(page, "/api/clip?name=film.mp4", (tmp_path / "film.mp4").read_bytes(), STREAM)
    assert code == 400
    assert said.startswith(line)
