"""A stage that imports a module without depending on it keeps results that no longer follow from the code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ramer.config import Config
from ramer.errors import RamerError
from ramer.project import Project
from stages._code import _parse, import_closure, write_digests
from tests.support.closure import ROOT, attributes_read
from tests.support.plan import METHOD_CODE, Stage, method_files, read_stages

STAGES = read_stages()
# Read to refuse early what a later stage, which declares them, refuses too: nothing that is written depends on them.
READ_TO_REFUSE = {"prepare": {"retrieval"}}
WHO_WORKS = {"engine"}  # changes no output: tests/engine/test_address.py


def imported(stage: Stage) -> set[str]:
    """What any instance of a stage imports; methods are found by their type, not by an import."""
    methods = method_files() if METHOD_CODE in stage.deps else set()
    return import_closure(stage.source, *methods, root=ROOT)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_a_stage_depends_on_the_digest_of_its_code(stage: Stage) -> None:
    if stage.name == "check":  # writes the digests
        assert {"ramer", "stages", "params.yaml"} <= set(stage.deps)
        return
    assert f"data/code/{stage.name}.json" in stage.deps
    assert (METHOD_CODE in stage.deps) == (stage.name in ("train", "evaluate"))
    assert not [dep for dep in stage.deps if dep.endswith(".py")]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for package in ("ramer", "stages"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(tmp_path)


def digests(project: Project) -> dict[str, bytes]:
    write_digests(project)
    return {str(p.relative_to(project.code)): p.read_bytes() for p in project.code.rglob("*.json")}


@pytest.mark.parametrize(
    ("changed", "touched", "untouched"),
    [
        ("ramer/methods/zero_fill.py", {"methods/zero_fill"}, {"train", "methods/ramer", "prepare"}),
        (
            "ramer/methods/shared/imputing.py",
            {"methods/zero_fill", "methods/ramer"},
            {"methods/prior", "pretrain", "report"},
        ),
        ("ramer/nn/transformer.py", {"pretrain", "dump"}, {"prepare", "retrieve", "methods/zero_fill", "report"}),
        ("ramer/data/merbench.py", {"prepare"}, {"pretrain", "train", "report"}),
        ("ramer/config/params.py", {"prepare", "pretrain", "train", "report", "track"}, set()),
        ("ramer/extraction/audio.py", set(), {"prepare", "pretrain", "train", "evaluate", "report", "track"}),
        ("stages/report.py", {"report"}, {"evaluate", "track"}),
        ("ramer/pipeline/train.py", {"train"}, {"dump", "evaluate", "report", "methods/ramer"}),
        ("ramer/pipeline/retrieve.py", {"retrieve"}, {"index", "train", "evaluate", "report"}),
        ("ramer/methods/shared/fitting.py", {"train"}, {"evaluate", "report", "methods/ramer"}),
        ("ramer/methods/shared/scoring.py", {"evaluate"}, {"train", "report", "methods/ramer"}),
        ("ramer/reporting/comparison.py", {"report"}, {"train", "evaluate", "track"}),
        ("ramer/tracking/runs.py", {"track"}, {"train", "evaluate", "report"}),
        ("ramer/training/encoding.py", {"dump"}, {"pretrain", "prepare", "index"}),
        ("ramer/project.py", {"prepare", "pretrain", "train", "report", "track"}, set()),
        ("ramer/pipeline/origin.py", set(), {"prepare", "pretrain", "train", "evaluate", "report", "track"}),
        ("ramer/reporting/report.html.j2", {"report"}, {"evaluate", "train"}),
    ],
)
def test_a_change_of_code_touches_the_stages_that_import_it(
    project: Project, changed: str, touched: set[str], untouched: set[str]
) -> None:
    before = digests(project)
    assert digests(project) == before
    with (project.root / changed).open("a", encoding="utf-8") as file:
        file.write("\nCHANGED = True\n")
    _parse.cache_clear()
    after = digests(project)
    different = {name.removesuffix(".json") for name in before if before[name] != after[name]}
    assert touched <= different
    assert not untouched & different


def test_the_digests_name_every_stage_and_method(project: Project) -> None:
    expected = {f"{stage}.json" for stage in STAGES}
    expected |= {f"methods/{Path(file).stem}.json" for file in method_files()}
    assert set(digests(project)) == expected


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_a_stage_declares_the_sections_that_it_reads(stage: Stage) -> None:
    declared = {param.split(".")[0] for param in stage.params}
    closure = imported(stage) - {"ramer/config/params.py"}  # it checks all sections
    read = attributes_read("config", stage.source, closure) & set(Config.model_fields)
    lacking = sorted(read - declared - WHO_WORKS - READ_TO_REFUSE.get(stage.name, set()))
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


def test_a_file_that_is_no_python_is_one_line(tmp_path: Path) -> None:
    for name, text in {"stages/one.py": "import ramer.a\n", "ramer/a.py": "def broken(:\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(RamerError, match=r"a\.py: line 1: "):
        import_closure("stages/one.py", root=tmp_path)
