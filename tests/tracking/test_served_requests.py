"""What `mlflow models serve` answers to requests, whole and malformed ones, without a server around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from ramer import Predictor
from ramer.serving.modelfiles import export_model
from tests.support.registered import probabilities, records
from tests.support.served_project import corpus_of, prior_of, raw_features, rows_of

# MLflow warns of its own type hints when mlflow.pyfunc is imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")]

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def packed(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ramer.tracking.package import example_of, package_model

    folder = tmp_path_factory.mktemp("packed")
    export_model(served, folder / "model")
    package_model(folder / "model", folder / "packed", example_of(corpus_of(served)))
    return folder / "packed"


@pytest.fixture(scope="module")
def ask(packed: Path) -> Ask:
    """A request's body to a status and what is answered, as the server's own code goes about it."""
    import mlflow.pyfunc
    from mlflow.pyfunc.scoring_server import invocations

    model = mlflow.pyfunc.load_model(str(packed))

    def asked(body: Any, kind: str = "application/json") -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            answer = invocations(content, kind, model, model.metadata.get_input_schema())
        except MlflowException as error:
            return error.get_http_status_code(), error.message.split("\nError: ")[-1]
        return answer.status, json.loads(answer.response)["predictions"] if answer.status == 200 else answer.response

    return asked


def test_every_form_of_a_request_has_one_answer(served: Path, ask: Ask) -> None:
    features = raw_features(served, rows_of(served), "at")
    expected = Predictor.load(served).predict(features)
    rows = records(features)
    split = {"columns": list(features), "data": [list(row.values()) for row in rows]}
    bodies: list[dict[str, Any]] = [{"dataframe_records": rows}, {"dataframe_split": split}, {"inputs": rows}]
    for body in bodies:
        code, answers = ask(body)
        assert code == 200, (list(body), answers)
        np.testing.assert_allclose(probabilities(answers, expected.label_names), expected.probabilities, atol=1e-6)
    held = np.isfinite(features["audio"]).all(axis=1)
    code, answers = ask({"inputs": {"audio": features["audio"][held].tolist()}})  # MLflow takes no null in such columns
    expected = Predictor.load(served).predict({"audio": features["audio"][held]})
    np.testing.assert_allclose(probabilities(answers, expected.label_names), expected.probabilities, atol=1e-6)


def test_one_record_in_one_answer_out(served: Path, ask: Ask) -> None:
    whole = records(raw_features(served, rows_of(served)[:1]))[0]
    given: list[dict[str, Any]] = [{}, {"audio": None}, whole, {}, {"text": None, "video": None}]
    for some in (given, given[:1], given[1:2], []):
        code, answers = ask({"dataframe_records": some})
        assert (code, len(answers)) == (200, len(some))
    answers = ask({"dataframe_records": given})[1]
    assert [answer["available"] == "" for answer in answers] == [True, True, False, True, True]
    scores = [[value for key, value in answer.items() if key.startswith("p/")] for answer in answers]
    np.testing.assert_allclose(scores[0], prior_of(served), atol=1e-6)


def deep(depth: int) -> Any:
    value: Any = 1.0
    for _ in range(depth):
        value = [value]
    return value


UNKNOWN = "expected audio, video, text"
LIST = "expected 10 numbers or null, got"
MALFORMED: dict[str, tuple[Any, str]] = {
    "an unknown field": ([{"face": [1.0]}], f"face: no such field, {UNKNOWN}"),
    "an unknown field beside a known one": ([{"audio": [1.0] * 10, "Video": None}], f"Video: no such field, {UNKNOWN}"),
    "an unknown field of one record": ([{"audio": [1.0] * 10}, {"label": "glad"}], f"label: no such field, {UNKNOWN}"),
    "too short": ([{"audio": [1.0]}], f"audio: row 0: {LIST} 1"),
    "the second one": ([{"audio": None}, {"audio": [1.0] * 11}], f"audio: row 1: {LIST} 11"),
    "lists of different lengths": ([{"audio": [[1.0, 2.0], [3.0]]}], f"audio: row 0: {LIST} something that is no list"),
    "a matrix": ([{"audio": [[1.0] * 10]}], f"audio: row 0: {LIST} numbers of shape (1, 10)"),
    "deep": ([{"audio": deep(60)}], f"audio: row 0: {LIST} numbers of shape (1, 1"),
    "deeper than arrays go": ([{"audio": deep(500)}], f"audio: row 0: {LIST} something that is no list of numbers"),
    "words": ([{"audio": ["loud"] * 10}], f"audio: row 0: {LIST} something that is no list of numbers"),
    "a word": ([{"audio": "loud"}], f"audio: row 0: {LIST} something that is no list of numbers"),
    "truths": ([{"audio": [True] * 10}], f"audio: row 0: {LIST} something that is no list of numbers"),
    "a number": ([{"audio": 1.5}], f"audio: row 0: {LIST} numbers of shape ()"),
    "a record in a record": ([{"audio": {"a": 1}}], f"audio: row 0: {LIST} something that is no list of numbers"),
    "numbers beyond all": ([{"audio": [10**400] * 10}], f"audio: row 0: {LIST} something that is no list of numbers"),
    "infinite": ([{"audio": [float("inf")] * 10}], "audio: row 0: infinite or partly NaN, expected finite numbers"),
    "partly NaN": ([{"audio": [float("nan")] + [1.0] * 9}], "audio: row 0: infinite or partly NaN"),
    "a number with a hole": ([{"audio": [None] + [1.0] * 9}], f"audio: row 0: {LIST} something that is no list"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_record_is_refused_in_one_line(ask: Ask, case: str) -> None:
    given, said = MALFORMED[case]
    code, line = ask({"dataframe_records": given})
    assert code == 400
    assert line.startswith(said), line
    assert "\n" not in line


def test_columns_of_different_lengths_and_bodies_that_are_none_are_refused(ask: Ask) -> None:
    code, line = ask({"inputs": {"audio": [[1.0] * 10], "video": [None, None]}})
    assert (code, line) == (400, "expected columns of one length, got audio 1, video 2")
    assert ask({"inputs": [1.0, 2.0]})[0] == 400
    assert ask({"inputs": "loud"})[0] == 400
    for body in (b"", b"{", b"[]", b"\xff\xfe", b'{"dataframe_records": 7}', b'{"clips": []}'):
        assert ask(body)[0] == 400, body
    split = {"columns": ["audio", "audio"], "data": [[[1.0] * 10, [1.0] * 10]]}
    assert ask({"dataframe_split": split}) == (400, "audio: given more than once")
    assert ask(b"audio\n1.0\n", "text/csv")[0] == 400
    assert ask(b"", "text/html")[0] == 415


def test_the_model_says_what_it_takes(served: Path, packed: Path) -> None:
    from mlflow.models import Model

    about = Model.load(str(packed))
    assert about.metadata is not None
    assert about.metadata["inputs"] == corpus_of(served).dims
    assert about.signature.params is not None
    assert [column.name for column in about.signature.outputs][:3] == ["available", "missing", "predicted"]
