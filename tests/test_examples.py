"""The examples in docstrings are what happens."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks._source import read_folder
from benchmarks.house import examples
from tests.support.served_project import build_project

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted({module for module, _ in examples(read_folder(ROOT))})
METHODS: dict[str, dict[str, Any]] = {"ramer": {"type": "ramer", "k": 3}, "late_product": {"type": "late_product"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained project that examples call ``project``."""
    return build_project(tmp_path_factory.mktemp("examples") / "project", METHODS)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str, request: pytest.FixtureRequest) -> None:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        if "project" in (example.docstring or ""):
            example.globs["project"] = request.getfixturevalue("project")
        runner.run(example)
    tried = runner.summarize()
    assert tried.attempted
    assert tried.failed == 0


def test_the_python_of_the_readme_runs_and_passes_the_linter(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    ruff = [sys.executable, "-m", "ruff", "check", "--quiet", "--config", str(ROOT / "pyproject.toml"), "-"]
    checked = subprocess.run(ruff, input=code, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")
    monkeypatch.chdir(project)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["emotion"] in names["said"].label_names
    assert {target for target, _, _ in names["stood_in"]} == {"audio", "video"}


def test_what_users_touch_is_shown_in_use() -> None:
    assert len(examples(read_folder(ROOT))) >= 20
