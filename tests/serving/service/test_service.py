"""``ramer serve`` over a real socket: one record in, one answer out, within its bounds, counted and logged."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.modalities import MODALITIES
from ramer.serving.demo.bounds import Bounds
from ramer.serving.modelfiles import export_model
from ramer.serving.predictor import Prediction, Predictor
from ramer.serving.raw_clips import ClipFeatures, ClipReader, SharedReader
from ramer.serving.service.http_app import BOUNDS, build_service
from ramer.serving.service.responses import MOST_RECORDS
from tests.support.served_project import build_project, corpus_of, prior_of, raw_features, rows_of
from tests.support.web_servers import answering, port_of


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    methods = {"ramer": {"type": "ramer", "k": 3}}
    return build_project(tmp_path_factory.mktemp("service") / "project", methods)


@pytest.fixture(scope="module")
def predictor(project: Path) -> Predictor:
    return Predictor.load(project)


@contextlib.contextmanager
def served(predictor: Predictor, bounds: Bounds = BOUNDS, reader: SharedReader | None = None) -> Iterator[int]:
    """The service in a thread: its port."""
    app = build_service(predictor, reader or SharedReader.open(predictor), bounds=bounds)
    with answering(app, bounds) as address:
        yield int(address.rsplit(":", 1)[1])


@pytest.fixture(scope="module")
def port(predictor: Predictor) -> Iterator[int]:
    with served(predictor) as found:
        yield found


def ask(port: int, path: str, body: Any = None, kind: str = "application/json", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    with contextlib.closing(connection):
        connection.request("GET" if data is None else "POST", path, data, {"Content-Type": kind} | headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def predict(port: int, records: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    status, text = ask(port, "/predict", {"records": records} | wanted)
    assert status == 200, text
    return dict(json.loads(text))


def records_of(project: Path, clips: int) -> list[dict[str, Any]]:
    features = raw_features(project, rows_of(project)[:clips])
    rows = [{m: features[m][i] for m in MODALITIES} for i in range(clips)]
    return [{m: v.tolist() if np.isfinite(v).all() else None for m, v in row.items()} for row in rows]


def test_records_are_answered_as_python_answers_them(project: Path, predictor: Predictor, port: int) -> None:
    records = records_of(project, 6)
    records[1].pop("audio")
    got = predict(port, records, neighbours=True, coverage=0.8, risk=0.4)
    features = {
        m: np.array([r.get(m) if r.get(m) is not None else [np.nan] * predictor.dims[m] for r in records])
        for m in MODALITIES
    }
    said = predictor.predict(features, neighbours=True, coverage=0.8, risk=0.4)
    assert got["method"] == "ramer"
    assert [a["predicted"] for a in got["answers"]] == list(said.labels)
    assert [a["set"] for a in got["answers"]] == [list(names) for names in said.sets]
    assert said.answered is not None
    assert [a["answered"] for a in got["answers"]] == said.answered.tolist()
    for i, answer in enumerate(got["answers"]):
        np.testing.assert_allclose(list(answer["probabilities"].values()), said.probabilities[i], atol=1e-6)
        assert answer["missing"] == list(said.missing(i))
        assert [n["id"] for n in answer["neighbours"]] == [n.id for n in said.neighbours[i]]


@pytest.mark.parametrize("many", [0, 1, 3])
def test_one_record_in_one_answer_out_also_where_it_holds_nothing(project: Path, port: int, many: int) -> None:
    answers = predict(port, [{}, {"text": None}, {"audio": None, "video": None}][:many])["answers"]
    assert len(answers) == many
    for answer in answers:
        assert answer["available"] == []
        np.testing.assert_allclose(list(answer["probabilities"].values()), prior_of(project), atol=1e-9)


BAD: dict[str, tuple[Any, int, str]] = {
    "no known name": ({"records": [{"sound": [1.0]}]}, 400, "sound: no such field, expected audio, video, text"),
    "one of several": ({"records": [{}, {"face": None}]}, 400, "face: no such field, expected audio, video, text"),
    "length": ({"records": [{}, {"audio": [1, 2]}]}, 400, "audio: row 1: expected 10 numbers or null, got 2"),
    "text": ({"records": [{"audio": "loud"}]}, 400, "audio: row 0: expected 10 numbers or null, got something that"),
    "not JSON": (b"{", 400, "request: not JSON (JSONDecodeError), expected records"),
    "deep": (b"[" * 5000, 400, "request: not JSON (RecursionError), expected records"),
    "brackets": (
        b"[" * 100_000,
        400,
        "request: 100000 lists and records, expected at most 1000 records with their vectors",
    ),
    "no records": ({}, 400, "request: records: expected, but not given"),
    "a list": ([1], 400, "request: expected a mapping, got [1]"),
    "no list": ({"records": {"audio": [1.0]}}, 400, "request: records: input should be a valid list, got a mapping"),
    "no record": ({"records": [3]}, 400, "request: records.0: expected a mapping, got 3"),
    "unknown option": ({"records": [], "coverge": 0.9}, 400, "coverge"),
    "coverage": ({"records": [{}], "coverage": 2.0}, 400, "coverage: expected a share between 0 and 1, got 2"),
    "booleans": (
        {"records": [{"audio": [True, *[0.1] * 9]}]},
        400,
        "audio: row 0: expected 10 numbers or null, got some",
    ),
    "half a character": (
        b'{"records": [{"\\ud800": 1}]}',
        400,
        "'\\ud800': no such field, expected audio, video, text",
    ),
    "half a character beside records": (b'{"records": [], "\\ud800": 1}', 400, "request: '\\ud800': unknown key"),
    "a field of a record twice": (
        b'{"records": [{"audio": [1.0], "audio": null}]}',
        400,
        "request: audio: given more than once",
    ),
    "a field twice": (b'{"records": [{}], "records": []}', 400, "request: records: given more than once"),
    "names": ({"records": [{str(n): 1 for n in range(9000)}]}, 400, "request: 9001 names and texts, expected at most"),
    "numbers": (b'{"records": [{"audio": [' + b"1," * 40_000 + b"1]}]}", 400, "1000 records of 32 numbers"),
    "keys": ({str(n): 1 for n in range(6000)}, 400, "request: 0: unknown key; request: 1: unknown key"),
    "too many of another kind": ({"records": [1] * 30_000}, 400, "records: expected at most 1000, got 30000"),
    "too many": ({"records": [{}] * (MOST_RECORDS + 1)}, 400, "records: expected at most 1000, got 1001"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_one_line_that_names_the_field(port: int, case: str) -> None:
    body, status, line = BAD[case]
    got, text = ask(port, "/predict", body)
    assert got == status, text
    assert line in json.loads(text)["error"]


def test_another_kind_of_body_another_site_and_another_host_are_refused(port: int) -> None:
    assert ask(port, "/predict", b"x=1", "application/x-www-form-urlencoded")[0] == 415
    assert ask(port, "/predict", {"records": []}, Origin="https://elsewhere.example")[0] == 403
    assert ask(port, "/health", Host="elsewhere.example")[0] == 400
    assert ask(port, "/nothing")[0] == 404


def test_health_says_what_is_served(predictor: Predictor, port: int) -> None:
    status, text = ask(port, "/health")
    told = json.loads(text)
    assert (status, told["status"], told["method"], told["sets"]) == (200, "ok", "ramer", True)
    assert told["inputs"] == predictor.dims
    assert told["takes_clips"] is False  # nobody knows how the features of this corpus are made
    status, text = ask(port, "/predict?name=clip.wav", b"RIFF", "application/octet-stream")
    assert status == 400
    assert "--manifest" in json.loads(text)["error"]
    # A type's parameters, which some clients add, do not make it another one.
    assert ask(port, "/predict?name=clip.wav", b"RIFF", "Application/Octet-Stream; charset=binary") == (status, text)


def test_what_is_too_large_or_too_much_is_refused(predictor: Predictor) -> None:
    started, go_on = threading.Event(), threading.Event()

    class Slow(Predictor):
        """Predicts when it is told to."""

        def __init__(self) -> None:
            vars(self).update(vars(predictor))

        def predict(self, *arguments: Any, **options: Any) -> Prediction:
            started.set()
            go_on.wait(60)
            return super().predict(*arguments, **options)

    with served(Slow(), replace(BOUNDS, other_bytes=2000, clips=1, other_seconds=60.0)) as port:
        assert ask(port, "/predict", b"[" + b" " * 3000)[0] == 413
        first: list[tuple[int, str]] = []
        asking = threading.Thread(target=lambda: first.append(ask(port, "/predict", {"records": [{}]})))
        asking.start()
        assert started.wait(30)
        status, text = ask(port, "/predict", {"records": [{}]})
        assert (status, json.loads(text)["error"]) == (503, "other requests are being answered; try again in a moment")
        assert ask(port, "/health")[0] == 200  # still answers
        go_on.set()
        asking.join(30)
        assert first[0][0] == 200
        assert ask(port, "/predict", {"records": [{}]})[0] == 200  # the place is free again


def test_what_takes_too_long_is_told(predictor: Predictor) -> None:
    class Slow(Predictor):
        """Takes a second."""

        def __init__(self) -> None:
            vars(self).update(vars(predictor))

        def predict(self, *arguments: Any, **options: Any) -> Prediction:
            time.sleep(1.0)
            return super().predict(*arguments, **options)

    with served(Slow(), replace(BOUNDS, other_seconds=0.3)) as port:
        status, text = ask(port, "/predict", {"records": [{}]})
        assert (status, json.loads(text)["error"]) == (504, "not answered within 0.3 s")


class FakeExtractor(ClipReader):
    """Makes features of any file: the audio of its first byte, no face, and words if there is a transcript."""

    def __init__(self, dims: dict[str, int]) -> None:
        self.dims = dims

    def read(self, path: Path | None, transcript: str | None = None) -> ClipFeatures:
        audio = None if path is None else np.full(self.dims["audio"], path.read_bytes()[0] / 100, np.float32)
        text = None if transcript is None else np.full(self.dims["text"], len(transcript) / 10, np.float32)
        return ClipFeatures(
            {"audio": audio, "video": None, "text": text}, {"video": "no face in 16 frames"}, transcript
        )


def test_an_uploaded_clip_is_predicted_from_what_it_has(predictor: Predictor) -> None:
    reader = SharedReader(FakeExtractor(predictor.dims))
    with served(predictor, reader=reader) as port:
        path = "/predict?name=clip.wav&transcript=hello&coverage=0.8"
        status, text = ask(port, path, bytes([50]), "application/octet-stream")
        assert status == 200, text
        (answer,) = json.loads(text)["answers"]
        features = {"audio": [0.5] * predictor.dims["audio"], "text": [0.5] * predictor.dims["text"]}
        said = predictor.predict(features, coverage=0.8)
        np.testing.assert_allclose(list(answer["probabilities"].values()), said.probabilities[0], atol=1e-6)
        assert (answer["set"], answer["missing"]) == (list(said.sets[0]), ["video"])
        assert answer["reasons"] == {"video": "no face in 16 frames"}
        assert (answer["transcript"], figures_of(port)["ramer_clips_total"]) == ("hello", 1)
        status, text = ask(port, "/predict?name=clip.exe", b"MZ", "application/octet-stream")
        assert status == 400
        assert "clip.exe: unknown kind of file" in json.loads(text)["error"]


def figures_of(port: int) -> dict[str, float]:
    status, text = ask(port, "/metrics")
    assert status == 200
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            # The text format's own grammar: name, labels, value.
            match = re.fullmatch(r'([a-z_]+)((?:\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\})?) (\S+)', line)
            assert match is not None, line
            found[match[1] + match[2]] = float(match[3])
    return found


def test_metrics_count_requests_clips_and_drift(project: Path, predictor: Predictor) -> None:
    with served(predictor) as port:
        records = records_of(project, 10)
        predict(port, records)
        ask(port, "/predict", b"{")
        ask(port, "/anything/at/all")
        got = figures_of(port)
        said = predictor.predict(raw_features(project, rows_of(project)[:10]))
        assert got['ramer_requests_total{path="/predict",status="200"}'] == 1
        assert got['ramer_requests_total{path="/predict",status="400"}'] == 1
        assert got['ramer_requests_total{path="other",status="404"}'] == 1
        assert got['ramer_request_seconds_bucket{path="/predict",le="+Inf"}'] == 2
        assert got['ramer_request_seconds_count{path="/predict"}'] == 2
        assert got["ramer_clips_total"] == 10
        for i, m in enumerate(MODALITIES):
            assert got[f'ramer_clips_missing_total{{modality="{m}"}}'] == int((~said.available[:, i]).sum())
        assert got["ramer_confidence_mean"] == pytest.approx(said.probabilities.max(axis=1).mean(), abs=1e-6)
        assert 'ramer_drift{of="availability"}' not in got  # of ten clips nothing follows
        whole = [r for r in records_of(project, len(rows_of(project))) if all(v is not None for v in r.values())]
        for _ in range(40):
            predict(port, whole[:10])
        usual = figures_of(port)['ramer_drift{of="availability"}']
        for _ in range(40):
            predict(port, [{"audio": r["audio"]} for r in whole[:10]])
        assert figures_of(port)['ramer_drift{of="availability"}'] > usual + 0.25


def test_training_shares_travel_with_an_exported_model(project: Path, tmp_path: Path) -> None:
    export_model(project, tmp_path / "model")
    about = Predictor.load(tmp_path / "model").description.corpus
    corpus = corpus_of(project)
    train = corpus.rows_in(corpus.replicates[0], "train")
    assert about.patterns is not None
    assert about.classes is not None
    assert sum(about.patterns.values()) == pytest.approx(1.0)
    assert about.patterns["avt"] == pytest.approx(corpus.available[train].all(axis=1).mean())
    np.testing.assert_allclose([about.classes[n] for n in corpus.label_names], prior_of(project))


def test_the_command_serves_on_loopback_and_logs_to_standard_error(project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ramer.cli", "serve", "--model", str(project), "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert len(predict(port_of(process), [{}])["answers"]) == 1
    finally:
        process.terminate()
        _, logged = process.communicate(timeout=30)
    assert json.loads(logged.splitlines()[0])["path"] == "/predict"


def test_every_request_is_a_line_of_json_without_its_content(
    port: int, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "ramer.serving.service"):
        predict(port, records_of(project, 1))
        ask(port, "/predict?transcript=secret", b"", "application/octet-stream")
        deadline = time.monotonic() + 30
        while len(caplog.records) < 2 and time.monotonic() < deadline:  # a line follows its answer
            time.sleep(0.01)
    lines = [json.loads(r.message) for r in caplog.records if r.name.startswith("ramer.serving.service")]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/predict", 200),
        ("POST", "/predict", 400),
    ]
    assert all(set(line) == {"time", "method", "path", "status", "ms"} for line in lines)
    assert "secret" not in caplog.text
