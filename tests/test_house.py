"""The counts of the code's shape, on a small tree made for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks._source import Checkout, read_folder
from benchmarks.house import LISTS, figures

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = """
[[tool.importlinter.contracts]]
name = "Imports go down only"
type = "layers"
layers = ["stages", "(ramer.serving)", "ramer.nn | ramer.files"]
"""
DVC = """
stages:
  dump:
    foreach: [audio]
    do: {cmd: python -m stages.dump, outs: ["data/states/${item}"]}
  report: {cmd: python -m stages.report, metrics: [{results/headline.json: {cache: false}}]}
"""
SERVING = '''"""No example here."""
from typing import Any

from ramer.files import read
from ..nn import linear


def load(root: Any, name: str | None = None) -> Any:
    """A model.

    >>> load("here")
    """
    from ramer import stray

    assert name is not None and root
    number: int = "one"  # type: ignore[assignment]
    return read(root / "states" / name) if isinstance(root, str) else getattr(root, f"{number}")
'''
TREE = {
    "pyproject.toml": PYPROJECT,
    "dvc.yaml": DVC,
    "stages/__init__.py": "",
    "stages/dump.py": 'from pathlib import Path\n\nTO = Path("data/states")\nFREE = Path("elsewhere") / "x"\n',
    "ramer/__init__.py": "",
    "ramer/files.py": "# a comment\ndef read(path): return path\n",
    "ramer/project.py": 'STATES = ("data",)\n\n\ndef states(root):\n    return root / "data" / "states"\n',
    "ramer/stray.py": "import ramer.files\n" + "\n" * 260,
    "ramer/nn/__init__.py": "",
    "ramer/nn/linear.py": "@staticmethod\ndef forward():\n    x = 1\n    return x\n",
    "ramer/serving/__init__.py": "",
    "ramer/serving/predictor.py": SERVING,
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_each_figure_names_its_places(tree: Path) -> None:
    code = read_folder(tree)
    found = {name: find(code) for name, (_, find) in LISTS.items()}
    assert found == {
        "long": [("ramer.stray", 261)],
        "functions": [],
        "layers": [("ramer.project", 1), ("ramer.stray", 1)],
        "paths": [("ramer.serving.predictor", 17), ("stages.dump", 3)],
        "any": [("ramer.serving.predictor", 8)] * 2,
        "ignores": [("ramer.serving.predictor", 16)],
        "asserts": [("ramer.serving.predictor", 15)],
        "questions": [("ramer.serving.predictor", 17)] * 2,
        "examples": [("ramer.serving.predictor", 8)],
    }


def test_imports_are_pairs_of_modules(tree: Path) -> None:
    assert read_folder(tree).edges == {
        ("ramer.stray", "ramer.files"),
        ("ramer.serving.predictor", "ramer.files"),
        ("ramer.serving.predictor", "ramer.nn.linear"),
        ("ramer.serving.predictor", "ramer.stray"),
    }


def test_lines_and_functions(tree: Path) -> None:
    counted = figures(read_folder(tree))
    assert counted["files"] == 10
    assert counted["lines"] == sum(len(text.splitlines()) for name, text in TREE.items() if name.endswith(".py"))
    assert counted["lines that hold code"] == 3 + 1 + 3 + 1 + 4 + 8
    assert [counted[f"lines of a function, {which}"] for which in ("median", "90th percentile", "longest")] == [
        2,
        10,
        10,
    ]
    assert not any(figures(Checkout({"pyproject.toml": PYPROJECT})).values())


def test_an_earlier_revision_stands_beside_the_tree(tree: Path) -> None:
    git = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-C", str(tree)]
    for arguments in (["init", "-q"], ["add", "--all"], ["commit", "-q", "--message", "Start"], ["tag", "v1"]):
        subprocess.run([*git, *arguments], check=True)
    (tree / "ramer/project.py").unlink()
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.house", "--root", tree, "--before", "v1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in ran.stdout.splitlines()]
    assert rows[0] == ["", "v1", "now"]
    assert ["files", "10", "9"] in rows
    assert ["modules without a layer", "2", "1"] in rows
    assert not (tree / "ramer/project.py").exists()


def test_every_module_of_this_project_has_a_layer() -> None:
    """Import-linter passes over a module that no layer names."""
    assert LISTS["layers"][1](read_folder(ROOT)) == []
