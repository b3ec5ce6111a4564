"""Digests that files are compared with, and files that hold their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ramer.digests import (
    DIGESTS_FILE,
    MOST_NAMED,
    check_files,
    check_folder,
    digest_files,
    read_sealed,
    sealed_directory,
    write_sealed,
)
from ramer.errors import ModelError
from ramer.files import read_json, write_json

VALUE = {"name": "é", "nested": {"digest": "0" * 64, "small": 1e-05}, "list": [1, None, "a\nb"]}


def faults_of(folder: Path, names: list[str]) -> list[str]:
    with pytest.raises(ModelError) as fault:
        check_folder(folder, names)
    return fault.value.faults


def flipped(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_sealed_file_is_json_with_its_digest_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    write_sealed(tmp_path / "x.json", VALUE)
    write_sealed(tmp_path / "y.json", VALUE)
    assert (tmp_path / "x.json").read_bytes() == (tmp_path / "y.json").read_bytes()
    assert read_sealed(tmp_path / "x.json") == VALUE
    assert set(read_json(tmp_path / "x.json")) == {*VALUE, "digest"}


def test_no_bit_of_a_sealed_file_changes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_sealed(path, VALUE)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        flipped(path, bit)
        with pytest.raises(ModelError, match=r"^[^\n]*x\.json: [^\n]*$"):
            read_sealed(path)
        path.write_bytes(whole)


@pytest.mark.parametrize("content", ["", "[]", "7", "null", "{}", '{"digest": 3}', "[" * 100_000])
def test_what_is_not_sealed_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content, "utf-8")
    with pytest.raises(ModelError, match=r"^[^\n]*x\.json: [^\n]*$"):
        read_sealed(tmp_path / "x.json")


def test_an_edited_file_is_read_by_whoever_knows_better(tmp_path: Path) -> None:
    write_sealed(tmp_path / "x.json", VALUE)
    edited: dict[str, Any] = read_json(tmp_path / "x.json") | {"name": "mine"}
    write_json(tmp_path / "x.json", edited)
    with pytest.raises(ModelError, match="damaged or edited"):
        read_sealed(tmp_path / "x.json")
    assert read_sealed(tmp_path / "x.json", verify=False) == VALUE | {"name": "mine"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with sealed_directory(tmp_path / "out") as made:
        for name in "abcdefg":
            (made / name).write_bytes(name.encode() * 100)
    return tmp_path / "out"


def test_a_folder_is_compared_with_what_was_written(folder: Path) -> None:
    assert check_folder(folder, "abc")
    flipped(folder / "b", 5)
    assert check_folder(folder, "ac")
    assert faults_of(folder, ["a", "b"]) == [
        f"{folder}/b: damaged: not the content that {DIGESTS_FILE} describes; make it again"
    ]
    (folder / "a").unlink()
    os.mkfifo(folder / "a")  # would never end
    assert faults_of(folder, ["a"])[0].startswith(f"{folder}/a: no such file, though {DIGESTS_FILE} names it")
    assert faults_of(folder, ["h"]) == [f"{folder}/{DIGESTS_FILE}: says nothing of h"]


def test_many_damaged_files_are_counted(folder: Path) -> None:
    for name in "abcdefg":
        flipped(folder / name, 0)
    *named, rest = faults_of(folder, list("abcdefg"))
    assert (len(named), rest) == (MOST_NAMED, f"{folder}: 2 more such files")


def test_digests_that_are_none_and_folders_without_any(folder: Path) -> None:
    write_sealed(folder / DIGESTS_FILE, {"format": 2, "files": {}})
    assert "not the digests of a folder" in faults_of(folder, ["a"])[0]
    (folder / DIGESTS_FILE).unlink()
    assert not check_folder(folder, ["a"])


def test_digests_of_folders_and_files_are_by_path(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "x").write_bytes(b"x")
    found = digest_files(folder, [folder / "below", folder / "a"])
    assert list(found) == ["below/x", "a"]
    check_files(folder, found, folder / "source.json")
