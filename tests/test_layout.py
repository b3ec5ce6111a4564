"""The folders of a project are spelled in one module, and helpers of tests lie in one place."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.closure import ROOT

OWNER = "ramer/project.py"
FOLDERS = re.compile(
    r"(^|[\s/`'(])(data/(prepared|states|neighbours|code|params\.checked|\.dump)|models/(encoders|index|methods)"
    r"|results/(methods|plots|plot_data|summary\.json|headline\.json|report\.html)|\.tracking/)(?![\w.])"
)
# The spelling itself is tested there: it is an interface, other people's scripts rely on it.
SPELLED_ON_PURPOSE = {
    "tests/support/plan.py": "reads dvc.yaml",
    "tests/pipeline/test_dependencies.py": "what dvc.yaml declares",
    "tests/pipeline/test_structure.py": "what dvc.yaml declares",
    "tests/pipeline/test_committed.py": "what DVC writes and ignores",
    "tests/pipeline/test_repro.py": "what a user finds after dvc repro",
    "tests/pipeline/test_real_corpora.py": "what a user finds after dvc repro",
    "tests/tracking/test_runs.py": "names of the artifacts in a run",
    "tests/tracking/test_store.py": "names of the artifacts in a run",
    "tests/support/tree.py": "the .gitignore of a project",
    "tests/test_layout.py": "what is noticed",
}
FILE_NAMES = ("params.yaml", "dvc.yaml", "dvc.lock")
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("ramer", "stages", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
)


def spelled(source: str, file_names: tuple[str, ...] = FILE_NAMES) -> Iterator[tuple[int, str]]:
    """Line and text of the expressions that name a folder or file of the layout; docstrings may."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {id(node.body[0]) for node in ast.walk(tree) if isinstance(node, documented) and node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and id(node) in docstrings and isinstance(node.value, ast.Constant):
            node.value.value = ""
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and FOLDERS.search(node.value):
            yield node.lineno, node.value
        elif (joined := _joined(node)) and (FOLDERS.search(joined) or joined.split("/")[-1] in file_names):
            yield node.lineno, joined


def _joined(node: ast.expr) -> str:
    """The constant parts of ``root / "a" / "b"`` or ``Path(root, "a", "b")`` as one path, others as a dot."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return f"{_part(node.left)}/{_part(node.right)}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Path":
        return "/".join(_part(argument) for argument in node.args)
    return ""


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return _joined(node) or "."


@pytest.mark.parametrize("file", FILES)
def test_nobody_but_the_project_spells_a_folder_of_the_layout(file: str) -> None:
    if file == OWNER or file in SPELLED_ON_PURPOSE:
        return
    # A test may well read parameters from a file of any name.
    file_names = () if file.startswith("tests/") else FILE_NAMES
    source = (ROOT / file).read_text("utf-8")
    found = [f"{file}:{line}: {text!r}" for line, text in spelled(source, file_names)]
    assert not found, "expected paths from ramer.project.Project"


@pytest.mark.parametrize("file", SPELLED_ON_PURPOSE)
def test_an_exception_is_still_one(file: str) -> None:
    assert list(spelled((ROOT / file).read_text("utf-8")))


def test_a_folder_is_noticed_however_it_is_put_together() -> None:
    source = '''"""Docstrings may say data/prepared."""
a = root / "data" / "prepared"
b = root / "models/methods" / name
c = f"{root}/results/summary.json"
d = Path(root, "data", "states", m)
e = root / "params.yaml"
f = "params.yaml: methods.mine: unknown"
g = tmp_path / "prepared"
'''
    assert {line for line, _ in spelled(source)} == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(("tests/", "benchmarks/"))])
def test_tests_take_helpers_from_tests_support_only(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {
        f"tests.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "tests"
        for alias in node.names
    } - {"tests.support"}
    # The campaign is a program of its own beside its tests, whose parts know each other.
    own = "tests.campaign." if file.startswith("tests/campaign/") else "tests.support."
    helpers = {name for name in names if name.startswith(("tests.support", own))}
    helpers -= {name for name in helpers if name.split(".")[-1].startswith(("conftest", "test_"))}
    assert {name for name in names if name.startswith("tests.")} == helpers


# Files here are named for what their readers know (a stage, a command, a section of params.yaml or of the report),
# beside the module of that name that they call.
NAMED_FOR_READERS = ("stages/", "ramer/pipeline/", "ramer/commands/", "ramer/config/", "ramer/reporting/sections/")


def test_no_two_modules_have_one_name() -> None:
    names = Counter(
        file.rpartition("/")[2]
        for file in FILES
        if file.startswith("ramer/") and not file.startswith(NAMED_FOR_READERS) and "/__" not in file
    )
    assert [name for name, times in names.items() if times > 1] == []
