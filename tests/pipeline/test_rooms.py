"""A room per stage: one file, one public function, and all that sees the whole of the parameters."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from ramer.config import Config
from ramer.project import Project
from tests.support.closure import ROOT
from tests.support.plan import read_stages

STAGES = list(read_stages())
# Words of the command line: what they do is named for what the user asks.
COMMANDS = "ramer/commands/"
LIBRARY = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "ramer").rglob("*.py")
    if not path.relative_to(ROOT).as_posix().startswith("ramer/pipeline/")
)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_one_function_of_parameters_and_project(stage: str) -> None:
    module = import_module(f"ramer.pipeline.{stage}")
    own = {
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert own == {stage}
    parameters = inspect.signature(getattr(module, stage), eval_str=True).parameters
    assert [p.annotation for p in parameters.values()][:2] == [Config, Project]
    item = {list: "modality", str: "method", type(None): None}[type(read_stages()[stage].foreach)]
    needed = [name for name, p in parameters.items() if p.default is p.empty][2:]
    assert needed == ([item] if item else [])


@pytest.mark.parametrize("stage", STAGES)
def test_what_dvc_runs_is_thin(stage: str) -> None:
    source = (ROOT / "stages" / f"{stage}.py").read_text("utf-8")
    assert len(source.splitlines()) <= 20
    assert f"from ramer.pipeline.{stage} import {stage}" in source


@pytest.mark.parametrize("file", LIBRARY)
def test_nothing_below_takes_the_whole_of_the_parameters(file: str) -> None:
    if file == "ramer/config/params.py":
        return
    taken = [
        node.id
        for function in ast.walk(ast.parse((ROOT / file).read_text("utf-8")))
        if isinstance(function, ast.FunctionDef)
        for argument in [*function.args.args, *function.args.kwonlyargs]
        if argument.annotation is not None
        for node in ast.walk(argument.annotation)
        if isinstance(node, ast.Name)
    ]
    assert "Config" not in taken, "expected sections of it"


def test_no_module_of_the_library_is_called_like_a_stage() -> None:
    named = [file for file in LIBRARY if file.split("/")[-1].removesuffix(".py") in STAGES]
    assert [file for file in named if not file.startswith(COMMANDS)] == []


@pytest.mark.parametrize("stage", ["prepare", "report", "track"])
def test_a_stage_that_computes_nothing_is_spared_torch(stage: str) -> None:
    program = f"import sys, stages.{stage}; sys.exit(any(m in sys.modules for m in ('torch', 'faiss', 'mlflow')))"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
