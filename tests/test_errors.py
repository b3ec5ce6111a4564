"""A fault is one line of bounded length, whatever a library says of a damaged file."""

from __future__ import annotations

import copy
from pathlib import Path

from ramer.errors import RamerError, StaleError, in_one_line


def test_lines_of_a_library_are_one_line() -> None:
    assert RamerError("a.csv: row 3:\n  a  number\n\nin it").faults == ["a.csv: row 3: a  number in it"]
    assert RamerError("a.csv: no row\n").faults == ["a.csv: no row"]


def test_a_long_fault_keeps_its_beginning_and_its_end() -> None:
    (fault,) = RamerError(f"corpus.npz: label: {'x' * 10_000} (see the guide)").faults
    assert fault.startswith("corpus.npz: label: xxx")
    assert fault.endswith("xxx (see the guide)")
    assert len(fault) <= 1000


def test_a_name_with_two_spaces_stays_as_it_is() -> None:
    assert RamerError("my  clips.npz: empty").faults == ["my  clips.npz: empty"]


def test_what_must_be_made_again_is_found_by_its_line() -> None:
    long = "y" * 5000
    error = copy.copy(StaleError([long, "b"], {long: Path("a"), "b": Path("b")}))
    assert [error.artifacts[line] for line in error.faults] == [Path("a"), Path("b")]


def test_what_the_system_says_is_bounded_and_the_advice_stays() -> None:
    said = in_one_line(OSError(28, "No space left on device", "z" * 5000))
    assert len(said) < 1100
    assert said.endswith("; free some space and run it again")


def test_the_last_of_very_many_lines_counts_the_rest_also_of_merged_faults() -> None:
    one, other = (RamerError([f"{name}: key{i}: unknown key" for i in range(200)]) for name in ("a.yaml", "b.yaml"))
    lines = str(RamerError(one.faults + other.faults)).splitlines()
    assert len(lines) == 40
    assert lines[38:] == ["a.yaml: key38: unknown key", "and 361 more faults"]


def test_an_error_in_other_words_knows_what_must_be_made_again() -> None:
    error = StaleError(["a: torn", "b: torn"], {"a: torn": Path("a"), "b: torn": Path("b")})
    other = error.reworded(lambda line: line.replace("torn", "cut"))
    assert type(other) is StaleError
    assert {line: other.artifacts[line] for line in other.faults} == {"a: cut": Path("a"), "b: cut": Path("b")}
