"""Parameters are read as YAML 1.2, as DVC writes them; what is no YAML is one line with its place."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ruamel.yaml import YAML

from ramer.yaml12 import read_yaml
from tests.support.closure import ROOT


@pytest.mark.parametrize(
    "file", ["params.yaml", "dvc.yaml", *sorted(p.name for p in (ROOT / "presets").glob("*.yaml"))]
)
def test_the_projects_own_files_are_read_as_dvc_reads_them(file: str) -> None:
    path = next(p for p in (ROOT / file, ROOT / "presets" / file) if p.exists())
    assert read_yaml(path.read_text("utf-8")) == YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 1e-05),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("+1", 1),
        ("1_000", 1000),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        (".inf", math.inf),
        ("off", "off"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("x: &a {b: 1}\ny:\n  <<: *a\n  c: 2", {"x": {"b": 1}, "y": {"b": 1, "c": 2}}),
        ("x: &a {b: 1}\ny:\n  b: 3\n  <<: *a", {"x": {"b": 1}, "y": {"b": 3}}),
        ("[{a: 1}, {b: 2}, {<<: [{a: 1}, {a: 2, c: 3}]}]", [{"a": 1}, {"b": 2}, {"a": 1, "c": 3}]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    read = read_yaml(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 4, column 3: the key 'c' stands on line 3 too"),
        ("{a: 1, a: 1}", "line 1, column 8: the key 'a' stands on line 1 too"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed"),
        ("a: [1\n", "line 2, column 1: did not find expected"),
        ("a: 1\n\tb: 2", "line 2, column 1: found a tab character"),
        ("--- 1\n--- 2", "line 2, column 1: but found another document"),
        ("&a [*b]", "line 1, column 5: found undefined alias"),
        ("{[a]: 1}", "line 1, column 2: a key that is a list or a mapping"),
        ("<<: 1", "line 1, column 5: << of what is no mapping"),
        ("!!python/object/apply:os.system [ls]", "line 1, column 1: could not determine a constructor for the tag"),
        ("!!int x", "line 1, column 1: 'x' is no number"),
        ("a: " + "9" * 5000, "line 1, column 4: a number of more than 100 digits"),
        ("a: \x00", "control characters are not allowed"),
        ("&a [*a]", "nested deeper than 64"),
        ("[" * 100_000, "line 1: nested deeper than 64"),  # the C parser itself would overflow its stack
        ("- " * 100_000 + "a", "line 1: nested deeper than 64"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_place(text: str, line: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_yaml(text)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_mappings_merged_again_and_again_take_no_memory() -> None:
    levels = ["a0: &a0 {k0: 0}"]
    levels += [f"a{n}: &a{n} {{k{n}: 0, <<: [{', '.join([f'*a{n - 1}'] * 30)}]}}" for n in range(1, 30)]
    read: Any = read_yaml("\n".join(levels))
    assert read["a29"] == {f"k{n}": 0 for n in range(30)}
