"""What is stale is said with the stage that makes it again: here alone, and for every output of the pipeline."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ramer.errors import ModelError, StaleError
from ramer.pipeline.origin import advise, stage_that_writes
from ramer.project import Project
from tests.support.closure import ROOT
from tests.support.plan import instances

METHODS = {"one": "ramer", "two": "zero_fill"}
SAYS_WHICH_STAGE = re.compile(r"rerun|run the stage|output of (the stage|\w+@)|retry with: dvc")
LIBRARY = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "ramer").rglob("*.py") if p.parent.name != "pipeline")


@pytest.mark.parametrize("name", instances(METHODS))
def test_every_output_is_known_with_the_stage_that_declares_it(name: str, tmp_path: Path) -> None:
    for out in instances(METHODS)[name].outs:
        assert stage_that_writes(Project(tmp_path), tmp_path / out) == name
        assert stage_that_writes(Project(tmp_path), tmp_path / out / "below") == name


def test_a_path_outside_of_the_outputs_has_no_stage(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert stage_that_writes(project, project.params) is None
    assert stage_that_writes(project, tmp_path / "elsewhere" / "states") is None


def test_the_advice_follows_each_line_of_several_errors() -> None:
    project = Project()
    lists, encoder = project.neighbours("audio"), project.encoder("text", "fold0_seed0")
    error = StaleError.of(
        [
            StaleError(f"{lists}: a list holds a row outside the scope", lists),
            ModelError("something else"),
            StaleError([f"{encoder}: torn", f"{encoder}: of another width"], encoder),
        ]
    )
    assert advise(error, project) == [
        f"{lists}: a list holds a row outside the scope; rerun retrieve@audio",
        "something else",
        f"{encoder}: torn; rerun pretrain@text",
        f"{encoder}: of another width; rerun pretrain@text",
    ]


@pytest.mark.parametrize("file", LIBRARY)
def test_nothing_outside_the_pipeline_says_which_stage_to_run(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    first = (node.body[0] for node in ast.walk(tree) if isinstance(node, documented) and node.body)
    docstrings = {id(statement.value) for statement in first if isinstance(statement, ast.Expr)}
    said = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    assert not [text for text in said if SAYS_WHICH_STAGE.search(text)]


SENTENCES = [
    "x: no such file, expected the output of the stage dump",
    "run the stage retrieve again",
    "not the encoder; rerun dump",
    "expected the output of evaluate@one",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_such_a_sentence_would_be_noticed(sentence: str) -> None:
    assert SAYS_WHICH_STAGE.search(sentence)
