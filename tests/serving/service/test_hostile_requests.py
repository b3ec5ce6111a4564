"""What clients of ``ramer serve`` and of the page send wrongly: refused in one line, without traceback."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ramer.serving.demo.app import build_app
from ramer.serving.demo.bounds import Bounds
from ramer.serving.demo.session import Session
from ramer.serving.predictor import Predictor
from ramer.serving.raw_clips import SharedReader
from ramer.serving.service.http_app import BOUNDS, build_service
from tests.support.served_project import corpus_of
from tests.support.web_servers import answering

ROOT = Path(__file__).resolve().parents[3]
JSON = {"Content-Type": "application/json"}
CLIP = {"Content-Type": "application/octet-stream"}
SERVERS = ("serve", "demo")


@pytest.fixture(scope="module")
def ports(served: Path) -> Iterator[dict[str, int]]:
    """Of the service and of the page of one model."""
    predictor = Predictor.load(served)
    page = build_app(Session(predictor, corpus_of(served)))
    service = build_service(predictor, SharedReader.open(predictor))
    with answering(page, Bounds()) as demo, answering(service, BOUNDS) as serve:
        yield {"demo": int(demo.rsplit(":", 1)[1]), "serve": int(serve.rsplit(":", 1)[1])}


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """Status and what is said, of a fault the one line."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        said = answer.read().decode()
        return answer.status, said if answer.status < 400 or not said else json.loads(said)["error"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://\x7f", "null"])
def test_an_origin_that_is_no_address_is_foreign(ports: dict[str, int], server: str, origin: str) -> None:
    read, write = {"serve": ("/health", "/predict"), "demo": ("/api/model", "/api/predict")}[server]
    said = ask(ports[server], "POST", write, b"{}", **JSON, Origin=origin)
    assert said == (403, f"{origin}: another site may not write here")
    assert ask(ports[server], "GET", read, Origin=origin)[0] == 200


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("path", ["/?api/predict", "/health/", "/api/predict/", "//predict", "/predict/?name=a.wav"])
def test_nobody_is_sent_to_another_address(ports: dict[str, int], server: str, path: str) -> None:
    status, said = ask(ports[server], "POST", path, b"{}", **JSON)
    assert status in (404, 405)
    assert "\n" not in said


QUERIES = {
    "records": ("serve", "/predict?neighbours=true&coverage=0.9&foo=1", JSON, "neighbours, coverage, foo: expected"),
    "a clip": ("serve", "/predict?name=a.wav&foo=1", CLIP, "foo: no such field, expected name, transcript, "),
    "a clip twice": ("serve", "/predict?name=a.wav&coverage=0.9&coverage=1", CLIP, "coverage: given more than once"),
    "a dropped clip": ("demo", "/api/clip?name=a.wav&coverage=0.9", CLIP, "coverage: no such field, expected name, "),
}


@pytest.mark.parametrize("case", QUERIES)
def test_fields_of_an_address_that_nothing_comes_of_are_named(ports: dict[str, int], case: str) -> None:
    server, path, kind, line = QUERIES[case]
    status, said = ask(ports[server], "POST", path, b'{"records": [{}]}', **kind)
    assert (status, said[: len(line) + 7]) == (422, f"query: {line}")


def test_a_picked_clip_takes_no_other_field(ports: dict[str, int]) -> None:
    said = ask(ports["demo"], "GET", "/api/corpus?clip=x&available=a")
    assert said == (422, "query: available: no such field, expected clip")


def test_the_page_refuses_a_field_that_stands_twice(ports: dict[str, int]) -> None:
    body = b'{"token": "nobody", "available": ["text"], "available": []}'
    assert ask(ports["demo"], "POST", "/api/predict", body, **JSON) == (400, "request: available: given more than once")
    body = b'{"token": "x", "available": [], "\\ud800": 1}'
    assert ask(ports["demo"], "POST", "/api/predict", body, **JSON)[0] == 422


def test_types_have_no_case_and_head_is_answered_as_get(ports: dict[str, int]) -> None:
    kind = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ask(ports["serve"], "POST", "/predict", b'{"records": [{}]}', **kind)[0] == 200
    for server, path in (("serve", "/health"), ("serve", "/metrics"), ("demo", "/"), ("demo", "/api/model")):
        assert ask(ports[server], "HEAD", path) == (200, ""), path
    assert ask(ports["demo"], "HEAD", "/nothing") == (404, "")


POST = "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {}\r\n"
BROKEN = {
    "ends early": ("Content-Length: 1000\r\n\r\n", b'{"records"'),
    "a bad chunk": ("Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n"),
}


@pytest.mark.parametrize("kind", [JSON, CLIP], ids=["records", "clip"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_request_that_breaks_off_leaves_no_traceback(
    ports: dict[str, int], case: str, kind: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    head, body = BROKEN[case]
    with socket.create_connection(("127.0.0.1", ports["serve"]), timeout=30) as client:
        client.sendall((POST.format("/predict", kind["Content-Type"]) + head).encode())
        time.sleep(0.2)
        client.sendall(body)
    assert ask(ports["serve"], "GET", "/health")[0] == 200
    time.sleep(0.3)
    assert not [record for record in caplog.records if record.exc_info], caplog.text


# In a child: what a request may take beyond what Python, the packages and the model took before.
_CHILD = """
    import json, resource, sys
    from pathlib import Path
    from ramer.errors import RamerError
    from ramer.serving.json_records import read_records
    from ramer.serving.predictor import Predictor
    from ramer.serving.service.responses import answer_question, read_question
    predictor = Predictor.load(Path(sys.argv[1]))
    body = Path(sys.argv[2]).read_bytes()
    def request(body): answer_question(predictor, read_question(body, predictor.dims))
    def table(body): read_records(json.loads(body)["records"])
    request(b'{"records": [{}]}')
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        globals()[sys.argv[4]](body)
    except RamerError as error:
        print(error)
        sys.exit(2)
"""
_MIB = 1 << 20


def _own_names(records: int, each: int) -> bytes:
    made = [{str(each * r + n): 1 for n in range(each)} for r in range(records)]
    return json.dumps({"records": made}, separators=(",", ":")).encode()


LARGE = {
    "names of its own in every record": lambda: _own_names(1000, 7),
    "names in one record": lambda: _own_names(1, 1_000_000),
    "numbers": lambda: b'{"records":[{"audio":[' + b"0.1," * 3_900_000 + b"1]}]}",
    "records of another kind": lambda: b'{"records":[' + b"1," * 30_000 + b"1]}",
    "texts": lambda: b'{"records":[{"audio":[' + b'"ab",' * 3_000_000 + b"1]}]}",
    "one text": lambda: b'{"records":[{"audio":"' + b"a" * 15_900_000 + b'"}]}',
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a bound on a process' memory is Linux's")
@pytest.mark.parametrize("case", LARGE)
def test_a_request_costs_what_its_vectors_cost(served: Path, tmp_path: Path, case: str) -> None:
    (tmp_path / "body").write_bytes(LARGE[case]())
    refused_within("request", served, tmp_path / "body")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a bound on a process' memory is Linux's")
def test_a_table_is_made_of_known_fields_alone(served: Path, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(_own_names(1000, 60))
    refused_within("table", served, tmp_path / "body")


def refused_within(reader: str, served: Path, body: Path, most: int = 100 * _MIB) -> None:
    """A body is refused in a child that may take so many bytes more."""
    started = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_CHILD), str(served), str(body), str(most), reader],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 2, ran.stderr[-2000:]
    assert len(ran.stdout) < 1000, ran.stdout[:2000]
    assert time.monotonic() - started < 60
