"""A request of records as a prediction, and a prediction as an answer: one record in, one answer out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from pydantic import ValidationError

from ramer.config import Section, fault_lines, one_line
from ramer.errors import RamerError
from ramer.modalities import MODALITIES
from ramer.serving.demo.fields import MOST_NAMED, named_once
from ramer.serving.json_records import predict_records, read_records
from ramer.serving.predictor import Prediction, Predictor
from ramer.serving.raw_clips import ClipFeatures

MOST_RECORDS = 1000  # of one request
# Each takes many times the memory of its characters.
_MOST_OPENED = 8 * MOST_RECORDS  # lists and records
_MOST_NAMES = 8 * MOST_RECORDS  # names of fields, and texts
_MOST_OTHER = 16  # values beside the vectors


class Wanted(Section):
    """What is asked for beside the most probable emotion.

    Attributes:
        neighbours: the clips that stood in.
        coverage: share of clips whose set of emotions holds the true one. risk: above which no answer is given.
    """

    neighbours: bool = False
    coverage: float | None = None
    risk: float | None = None


class Question(Wanted):
    """The body of a request.

    Attributes:
        records: per clip its vectors by the names of modalities, null or absent where missing.
    """

    records: list[dict[str, Any]]


class Answer(NamedTuple):
    """A prediction, and the JSON that says it."""

    prediction: Prediction
    content: dict[str, Any]


def read_question(body: bytes, dims: Mapping[str, int]) -> Question:
    """The question in a request's body, of which nothing is made that could not be an answerable one.

    Args:
        dims: numbers of a vector by modality.

    Raises:
        RamerError: not JSON, a field is unknown, given twice or of another kind, or more records, vectors or numbers
            than are answered at once.
    """
    _check_extent(body, dims)
    try:
        given = json.loads(body, object_pairs_hook=named_once)
        _check_counts(given)
        question = Question.model_validate(given)
    except ValidationError as error:
        raise RamerError(fault_lines(error, "request")) from None
    except (ValueError, RecursionError) as error:
        raise RamerError(f"request: not JSON ({type(error).__name__}), expected records") from None
    return question


def _check_extent(body: bytes, dims: Mapping[str, int]) -> None:
    """Before it is read: by its characters, of which a text may hold a few that mean nothing."""
    opened = body.count(b"[") + body.count(b"{")
    if opened > _MOST_OPENED:
        raise RamerError(
            f"request: {opened} lists and records, expected at most {MOST_RECORDS} records with their vectors"
        )
    names = body.count(b'"') // 2
    if names > _MOST_NAMES:
        known = ", ".join(MODALITIES)
        raise RamerError(f"request: {names} names and texts, expected at most {MOST_RECORDS} records of {known}")
    values, numbers = body.count(b","), sum(dims.values())
    if values > MOST_RECORDS * (numbers + len(MODALITIES)) + _MOST_OTHER:
        raise RamerError(f"request: {values} values, expected at most {MOST_RECORDS} records of {numbers} numbers")


def _check_counts(given: object) -> None:
    """Before every field and every record is looked at: a fault takes more memory than what it is of."""
    if not isinstance(given, dict):
        return
    unknown = [name for name in given if name not in Question.model_fields]
    if unknown:
        raise RamerError([f"request: {one_line(name)}: unknown key" for name in unknown[:MOST_NAMED]])
    records = given.get("records")
    if isinstance(records, list) and len(records) > MOST_RECORDS:
        raise RamerError(f"request: records: expected at most {MOST_RECORDS}, got {len(records)}")


def answer_question(predictor: Predictor, question: Question) -> Answer:
    """One answer per record; a record that holds nothing gets the class frequencies.

    Raises:
        RamerError: as ``predict_records``.
    """
    clips = read_records(question.records)
    said = predict_records(predictor, clips, question.neighbours, question.coverage, question.risk)
    return Answer(said, _content(said, question))


def answer_clip(predictor: Predictor, clip: ClipFeatures, wanted: Wanted) -> Answer:
    """The answer for a clip that was read, with why it lacks what it lacks."""
    features = {m: vector for m, vector in clip.vectors.items() if vector is not None}
    said = predictor.predict(features, wanted.neighbours, coverage=wanted.coverage, risk=wanted.risk)
    content = _content(said, wanted)
    content["answers"][0] |= {"reasons": clip.missing, "transcript": clip.transcript}
    return Answer(said, content)


def _content(said: Prediction, wanted: Wanted) -> dict[str, Any]:
    answers = [_one(said, row, wanted) for row in range(len(said.labels))]
    return {"method": said.method, "answers": answers, "notes": list(said.notes)}


def _one(said: Prediction, row: int, wanted: Wanted) -> dict[str, Any]:
    held = [m for m, has in zip(MODALITIES, said.available[row], strict=True) if has]
    found: dict[str, Any] = {
        "available": held,
        "missing": list(said.missing(row)),
        "predicted": str(said.labels[row]),
        "probabilities": dict(zip(said.label_names, said.probabilities[row].tolist(), strict=True)),
    }
    if wanted.coverage is not None:
        found["set"] = list(said.sets[row])
    if said.answered is not None:
        found["answered"] = bool(said.answered[row])
    if wanted.neighbours:
        found["neighbours"] = [asdict(neighbour) for neighbour in said.neighbours[row]]
    return found
