"""A request of records as a prediction, and a prediction as an answer: one record in, one answer out."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, NamedTuple

from pydantic import ValidationError

from ramer.config import Section, fault_lines
from ramer.errors import RamerError
from ramer.modalities import MODALITIES
from ramer.serving.json_records import predict_records, read_records
from ramer.serving.predictor import Prediction, Predictor
from ramer.serving.raw_clips import ClipFeatures

MOST_RECORDS = 1000  # of one request
_MOST_OPENED = 8 * MOST_RECORDS  # lists and records: each takes thirty times the memory of its two brackets


class Wanted(Section):
    """What is asked for beside the most probable emotion.

    Attributes:
        neighbours: the clips that stood in.
        coverage: of a set of emotions. risk: above which no answer is given.
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


def read_question(body: bytes) -> Question:
    """The question in a request's body.

    Raises:
        RamerError: not JSON, a field is unknown or of another kind, or more records than are answered at once.
    """
    opened = body.count(b"[") + body.count(b"{")
    if opened > _MOST_OPENED:
        raise RamerError(
            f"request: {opened} lists and records, expected at most {MOST_RECORDS} records with their vectors"
        )
    try:
        question = Question.model_validate(json.loads(body))
    except ValidationError as error:
        raise RamerError(fault_lines(error, "request")) from None
    except (ValueError, RecursionError) as error:
        raise RamerError(f"request: not JSON ({type(error).__name__}), expected records") from None
    if len(question.records) > MOST_RECORDS:
        raise RamerError(f"request: records: expected at most {MOST_RECORDS}, got {len(question.records)}")
    return question


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
