"""JSON files between stages: read whole, or refused in one line that names file and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ramer.errors import StaleError
from ramer.files import read_json
from ramer.retrieval.states import StatesRecord
from ramer.training.method_record import Checkpoint, ScoredMethod, TrainedMethod

STATES: dict[str, Any] = {
    "modality": "audio",
    "absent": False,
    "hidden_dim": 4,
    "ids_digest": "i",
    "encoder_digests": {"fold0_seed0": "e"},
}
METHOD = TrainedMethod(
    name="mine",
    type="ramer",
    options={"type": "ramer", "taus": [0.1]},
    inputs=("neighbours", "states"),
    deployable=True,
    retrieval=True,
    validation_selection=0.5,
    replicates={"fold0_seed0": Checkpoint(epoch=3, val_selection=0.5, digest="d")},
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    METHOD.write(tmp_path / "method.json")
    again = TrainedMethod.read(tmp_path / "method.json")
    assert again == METHOD
    assert (again.digest("fold0_seed0"), again.digest("fold1_seed0")) == ("d", None)
    assert read_json(tmp_path / "method.json")["format"] == 1


def test_the_scored_method_is_a_part_of_the_trained_one(tmp_path: Path) -> None:
    METHOD.scored.write(tmp_path / "method.json")
    assert ScoredMethod.read(tmp_path / "method.json") == METHOD.scored
    assert read_json(tmp_path / "method.json").keys() == ScoredMethod.model_fields.keys()


def test_a_file_from_before_there_were_formats_is_read(tmp_path: Path) -> None:
    path = tmp_path / "states.json"
    path.write_text(json.dumps(STATES), "utf-8")
    assert StatesRecord.read(path).crossfit_digests == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        ("{", "not valid JSON"),
        ("[]", "expected a mapping, got list"),
        ({"hidden_dim": None}, "hidden_dim: input should be a valid integer, got None"),
        ({"hidden_dim": "wide"}, "hidden_dim: input should be a valid integer"),
        ({"more": 1}, "more: unknown key"),
        ({"format": 2}, "format: input should be 1, got 2"),
        ({"modality": ...}, "expected the keys modality"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, content: str | dict[str, Any] | None, said: str) -> None:
    path = tmp_path / "states.json"
    if isinstance(content, dict):
        content = json.dumps({key: value for key, value in (STATES | content).items() if value is not ...})
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(StaleError) as caught:
        StatesRecord.read(path)
    (line,) = caught.value.faults
    assert line.startswith(f"{path}: ")
    assert said in line


def test_a_record_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        METHOD.name = "other"
