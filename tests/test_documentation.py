"""What the pages say is there is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from benchmarks import architecture
from benchmarks._source import read_folder

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def rules() -> dict[str, str]:
    """Rules of the protocol by their first words."""
    text = (DOCS / "protocol.md").read_text("utf-8").partition("## Before you claim")[0]
    found = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    return {rule[:40]: rule for rule in found}


@pytest.mark.parametrize("rule", rules().values(), ids=rules().keys())
def test_a_rule_of_the_protocol_names_the_tests_that_guard_it(rule: str) -> None:
    named = NAMED_TEST.findall(rule)
    assert named
    absent = [f"{file}::{name}" for file, name in named if name not in functions_of(ROOT / file)]
    assert absent == []


def test_the_picture_of_the_architecture_is_that_of_the_code() -> None:
    drawn = architecture.draw(read_folder(ROOT))
    kept = architecture.PICTURE.read_text("utf-8")
    assert kept == drawn, "run `python -m benchmarks.architecture`"
