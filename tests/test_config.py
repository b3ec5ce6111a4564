"""``params.yaml`` as people and accidents leave it: one line a fault, never a traceback."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from ramer.config import load_config
from ramer.errors import ConfigError
from ramer.extraction.settings import AudioSettings, VideoSettings

WHOLE = "methods:\n  prior: {type: prior}\nserve: {method: prior}\n"


def _refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (line,) = caught.value.faults
    assert line.startswith(f"{path}: ")
    return line


def test_the_least_that_is_valid(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load_config(tmp_path / "params.yaml").serve.method == "prior"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (WHOLE.encode() + b"# caf\xe9", "not UTF-8 (byte 60), expected a UTF-8 file"),
        (WHOLE.encode("utf-16"), "not UTF-8 (byte 0), expected a UTF-8 file"),
        (b"a: [1\n", "not valid YAML: line 2, column 1: did not find expected"),
        (WHOLE.encode() + b"serve: {}\n", "not valid YAML: line 4, column 1: the key 'serve' stands on line 3 too"),
        (WHOLE.encode() + b"prepare: {seeds: " + b"[" * 100_000, "not valid YAML: line 4: nested deeper than 64"),
        (b"x" * (1 << 21), "cannot be read: larger than 1,048,576 bytes"),
        (WHOLE.encode() + b'"a\\nb": 1\n', "'a\\nb': unknown key"),
        (b"- a\n", "expected a mapping of sections, got list"),
        (b"", "expected a mapping of sections, got NoneType"),
        (
            WHOLE.encode() + b"pretrain: {audio: {lr: off}}",
            "pretrain.audio.lr: input should be a valid number, got 'off'",
        ),
        (WHOLE.encode() + b"prepare: 3\n", "prepare: expected a mapping, got 3"),
        (WHOLE.encode() + b"prepare: {seeds: []}\n", "prepare.seeds: expected at least 1 entry, got 0"),
        (b"methods: {}\n", "methods: expected at least 1 entry, got 0"),
        (b"prepare: {folds: 1}\n", "methods: expected, but not given"),
        (WHOLE.encode() + b"evaluate: {ece_bins: {}}\n", "ece_bins: input should be a valid integer, got a mapping"),
        (
            WHOLE.encode() + b"prepare: {folds: " + b"9" * 5000 + b"}",
            "line 4, column 18: a number of more than 100 digits",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(content: bytes, line: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    assert line in _refused(tmp_path / "params.yaml")


def test_a_list_of_lists_of_one_list_is_not_written_out(tmp_path: Path) -> None:
    """It takes no memory as it stands, and 10 to the power of 12 numbers in a message."""
    levels = ["a0: &a0 [1]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 13)]
    text = "methods:\n  prior: {type: prior}\nserve: {method: prior}\nreport:\n  draws:\n"
    (tmp_path / "params.yaml").write_text(text + "".join(f"    {level}\n" for level in levels))
    assert len(_refused(tmp_path / "params.yaml")) < 300


def test_a_number_as_a_number_of_dvc(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(WHOLE + "pretrain: {audio: {lr: 1e-05}}\n")
    assert load_config(tmp_path / "params.yaml").pretrain.audio.lr == 1e-05


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "cannot be read: Is a directory" in _refused(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")  # nobody writes into it: opened the usual way it never returns
    assert "expected a regular file" in _refused(tmp_path / "pipe")
    assert "no such file, expected the project's parameters" in _refused(tmp_path / "none.yaml")


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
def test_a_number_is_finite(number: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(WHOLE + f"pretrain: {{audio: {{lr: {number}}}}}\n")
    assert "pretrain.audio.lr: input should be a finite number" in _refused(tmp_path / "params.yaml")


def test_settings_of_an_extraction_are_finite() -> None:
    for key in ("frames_per_second", "detections_per_second", "margin"):
        with pytest.raises(ValidationError, match="finite number"):
            VideoSettings.model_validate({key: math.inf})
    with pytest.raises(ValidationError, match="finite number"):
        AudioSettings.model_validate({"silence_dbfs": -math.inf})
