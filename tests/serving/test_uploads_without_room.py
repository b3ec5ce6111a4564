"""A clip that ``ramer demo`` and ``ramer serve`` are sent and cannot keep: no space is left, a quota is used up."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ramer.errors import StaleError, in_one_line
from ramer.serving.raw_clips import called
from tests.support.disks import fill, small_disk
from tests.support.media import require_extraction
from tests.support.scarce import in_want_of
from tests.support.tracked import start
from tests.support.web_servers import port_of

pytestmark = pytest.mark.slow
SERVERS = {"demo": "/api/clip", "serve": "/predict"}
HUGE = 30_000_000  # more than waits in sockets: the server refuses while it is being sent
SPACE = "a.mp4: No space left on device; free some space and run it again"
QUOTA = "a.mp4: Disk quota exceeded; free some space and run it again"


@contextlib.contextmanager
def running(model: Path, *command: str, temporary: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The server as a process whose temporary files go to a folder, and its port."""
    line = ("--model", str(model), "--preset", "light", "--port", "0")
    environment = {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    process = start(model, environment, *command, *line)
    try:
        yield process, port_of(process)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def send(port: int, path: str, size: int) -> tuple[int, str]:
    """Status and the one line about a clip of so many bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/octet-stream"}
        connection.request("POST", f"{path}?name=a.mp4", bytes(size), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["error"]


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        return connection.getresponse().status in (200, 404)  # the page has none


@pytest.mark.parametrize("server", SERVERS)
def test_a_clip_for_which_no_space_is_left(served: Path, tmp_path: Path, server: str) -> None:
    require_extraction()
    path = SERVERS[server]
    with (
        small_disk(tmp_path / "disk", 2_000_000) as disk,
        running(served, "-m", "ramer.cli", server, temporary=disk) as (_, port),
    ):
        filler = fill(disk, 100_000)
        assert send(port, path, HUGE) == (507, SPACE)
        assert [left.name for left in disk.iterdir()] == [filler.name]
        filler.unlink()
        code, line = send(port, path, 1000)  # what is no clip, and can be kept now
        assert (code, line[:5]) == (400, "a.mp4"), line
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("server", SERVERS)
def test_a_clip_for_which_the_quota_is_used_up(served: Path, tmp_path: Path, server: str) -> None:
    require_extraction()
    without = in_want_of("quota", 0, "-m", "ramer.cli", server)
    with running(served, *without, temporary=tmp_path) as (process, port):
        code, line = send(port, SERVERS[server], HUGE)
        assert code == 507, line
        assert line in (
            QUOTA,
            "a.mp4: no folder for temporary files can be written; free some space, or name another one in TMPDIR",
        )
        assert answers(port)
        assert process.poll() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("server", SERVERS)
def test_what_was_written_of_it_is_gone_while_the_sender_still_sends(served: Path, tmp_path: Path, server: str) -> None:
    require_extraction()
    with (
        small_disk(tmp_path / "disk", 2_000_000) as disk,
        running(served, "-m", "ramer.cli", server, temporary=disk) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=60) as client,
    ):
        filler = fill(disk, 100_000)
        head = f"POST {SERVERS[server]}?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {HUGE}\r\n"
        client.sendall(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + bytes(5_000_000))
        time.sleep(1)
        deadline = time.monotonic() + 20
        while (left := [path.name for path in disk.iterdir()]) != [filler.name] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == [filler.name]


def test_a_refusal_of_the_system_names_the_file_as_it_was_sent() -> None:
    path = Path("/tmp/ramer-demo-x/clip.mp4")
    with pytest.raises(OSError, match="Too many") as caught, called(path, "mine.mp4"):
        raise OSError(errno.EMFILE, "Too many open files", str(path))
    assert in_one_line(caught.value).startswith("mine.mp4: Too many open files")


def test_a_stale_file_is_told_by_the_name_that_was_sent() -> None:
    path = Path("/tmp/ramer-demo-x/clip.mp4")
    with pytest.raises(StaleError, match=r"^mine\.mp4: torn$"), called(path, "mine.mp4"):
        raise StaleError(f"{path}: torn", path)
