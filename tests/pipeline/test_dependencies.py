"""A stage that imports a module without depending on it keeps results that no longer follow from the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from ramer.config import Config
from tests.pipeline.closure import attributes_read, import_closure
from tests.pipeline.plan import CORPUS, METHOD_FILE, Stage, default_corpus_path, method_files, read_stages

STAGES = read_stages()


def imported(stage: Stage) -> set[str]:
    """What any instance of a stage imports; methods are found by their type, not by an import."""
    methods = method_files() if METHOD_FILE in stage.deps or "ramer/methods" in stage.deps else set()
    return import_closure(stage.source, *methods)


def covered(file: str, stage: Stage) -> bool:
    deps = {default_corpus_path() if dep == CORPUS else dep for dep in stage.deps}
    if METHOD_FILE in deps:
        deps |= method_files()
    return any(file == dep or file.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_a_stage_depends_on_every_module_that_it_imports(stage: Stage) -> None:
    lacking = sorted(file for file in imported(stage) if not covered(file, stage))
    assert not lacking, f"dvc.yaml: stages.{stage.name}.deps: add {', '.join(lacking)}"


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_a_stage_depends_on_no_module_that_it_does_not_import(stage: Stage) -> None:
    closure = imported(stage)
    needless = [dep for dep in stage.deps if dep.endswith(".py") and dep != METHOD_FILE and dep not in closure]
    assert not needless, f"dvc.yaml: stages.{stage.name}.deps: remove {', '.join(needless)}"


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_a_stage_declares_the_sections_that_it_reads(stage: Stage) -> None:
    declared = {param.split(".")[0] for param in stage.params}
    closure = imported(stage) - {"ramer/config.py"}  # it checks all sections
    read = attributes_read("config", stage.source, closure) & set(Config.model_fields)
    lacking = sorted(read - declared)
    assert "params.yaml" in stage.deps or not lacking, f"dvc.yaml: stages.{stage.name}.params: add {', '.join(lacking)}"


def test_the_closure_follows_imports_in_functions_and_packages_but_not_type_checking(tmp_path: Path) -> None:
    sources = {
        "stages/__init__.py": "",
        "stages/one.py": "from ramer.a import thing\n",
        "ramer/__init__.py": '"""Marker."""\n__version__ = "1"\n',
        "ramer/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ramer.never\n"
        "def f():\n    from ramer.deep import inner\n",
        "ramer/never.py": "",
        "ramer/deep/__init__.py": "from .sibling import x\n",
        "ramer/deep/inner.py": "import numpy\n",
        "ramer/deep/sibling.py": "x = 1\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    expected = {"stages/one.py", "ramer/a.py", "ramer/deep/__init__.py", "ramer/deep/inner.py", "ramer/deep/sibling.py"}
    assert import_closure("stages/one.py", root=tmp_path) == expected


def test_reading_is_followed_through_functions_and_not_through_their_neighbours(tmp_path: Path) -> None:
    sources = {
        "stages/one.py": "from ramer import a\ndef main(config):\n    a.used(config.first)\n",
        "ramer/a.py": "def used(config):\n    return Held(config.second)\ndef unused(config):\n    config.third\n"
        "class Held:\n    def method(self, config):\n        config.fourth\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert attributes_read("config", "stages/one.py", {"ramer/a.py"}, root=tmp_path) == {"first", "second", "fourth"}
