"""What the pages say is there is there."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from benchmarks import architecture, results
from benchmarks._source import read_folder
from ramer.cli import app
from tests.support.guides import APPENDED, code_of

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


SIX, FIXED, MOSI = "ravdess_meld_six_folds", "ravdess_meld", "mosi"


def score(experiment: str, method: str, condition: str = "avg6") -> float:
    """Weighted F1 in points."""
    kept = json.loads((results.KEPT / f"{experiment}.json").read_text("utf-8"))
    return 100 * float(kept["methods"][method][condition]["weighted_f1"]["mean"])


def gain(experiment: str, method: str, over: str, condition: str = "avg6") -> float:
    return score(experiment, method, condition) - score(experiment, over, condition)


def few(method: str, over: str) -> list[float]:
    return [gain(f"ravdess_meld_{labels}_labels", method, over) for labels in (100, 200, 400)]


RETRIEVING = ("ramer", "ramer_literal", "ramer_attention", "ramer_rerank", "label_knn")


def lead_of_blend() -> float:
    return min(lead for method in RETRIEVING for lead in few("blend", method))


def most_of_retrieval(*corpora: str) -> float:
    settings = [f"{corpus}_{labels}_labels" for corpus in corpora for labels in (100, 200, 400)]
    return max(gain(setting, method, "zero_fill") for setting in settings for method in RETRIEVING)


def purity(modality: str) -> list[float]:
    kept = json.loads((results.KEPT / f"{SIX}.json").read_text("utf-8"))
    return [100 * kept["purity"][modality][split] for split in ("train", "test")]


ZEROS, SHUFFLED, PRODUCT = "zero_fill", "ramer_shuffled", "late_product"
RESULTS, README = "docs/results.md", "README.md"
SENTENCES: list[tuple[str, str, list[float]]] = [
    (RESULTS, "highest deployable avg6 ({:.1f}), and `late_product`", [score(SIX, "blend")]),
    (RESULTS, "`blend` is ahead, {:.1f} against {:.1f}", [score(SIX, m, "avt") for m in ("blend", PRODUCT)]),
    (RESULTS, "it looked {:.1f} points ahead", [gain(FIXED, "blend", PRODUCT)]),
    (RESULTS, "`ramer` is {:.1f} points above itself with a shuffled", [gain(SIX, "ramer", SHUFFLED)]),
    (RESULTS, "with attention {:.1f} [", [gain(SIX, "ramer_attention", "ramer_attention_shuffled")]),
    (RESULTS, "random neighbours are {:.1f} below zeros", [gain(SIX, ZEROS, "random_neighbours")]),
    (RESULTS, "`ramer` is {:.1f} points *below* filling", [gain(SIX, ZEROS, "ramer")]),
    (RESULTS, "are {:.1f} points or more below `late_product`", [gain(SIX, PRODUCT, "ramer_literal")]),
    (RESULTS, "`ramer` is {:.1f} [+0.8, +4.4], {:.1f} [", few("ramer", ZEROS)[:2]),
    (RESULTS, "+2.2] and {:.1f} points [", few("ramer", ZEROS)[2:]),
    (RESULTS, "{:.0f} % of a training row's five nearest faces have its label, and {:.0f} %", purity("video")),
    (RESULTS, "(audio {:.0f} and {:.0f},", purity("audio")),
    (RESULTS, "text {:.0f} and {:.0f};", purity("text")),
    (RESULTS, "`blend` by {:.1f} points or more over every form", [lead_of_blend()]),
    (RESULTS, "no form of retrieval is more than {:.1f} points above zeros", [most_of_retrieval("mosi", "synthetic")]),
    (README, "with a shuffled database by {:.1f} points", [gain(SIX, "ramer", SHUFFLED)]),
    (README, "`ramer` is up to {:.1f} points above zeros", [max(few("ramer", ZEROS))]),
]


@pytest.mark.parametrize(("page", "words", "figures"), SENTENCES)
def test_a_figure_in_a_sentence_is_the_kept_one(page: str, words: str, figures: list[float]) -> None:
    assert words.format(*figures) in " ".join((ROOT / page).read_text("utf-8").split())


def test_the_readme_is_one_page_and_leads_to_every_other() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) <= 100
    pages = {page.relative_to(ROOT).as_posix() for page in DOCS.rglob("*.md") if "api" not in page.parts}
    linked = set(re.findall(r"\]\((docs/[\w/]+\.(?:md|ipynb))\)", readme))
    assert {link for link in linked if not (ROOT / link).exists()} == set()
    assert pages - linked == {"docs/index.md", "docs/result_tables.md"}


def command_lines() -> list[tuple[str, str]]:
    """Lines of the pages that call ``ramer``, with their page."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    found = []
    for page in pages:
        for block in re.findall(r"```(?:bash|console)?\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line.partition(" #")[0]) for line in lines if line.startswith("ramer ")]
    return found


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_a_command_on_a_page_and_its_options_exist(page: str, line: str) -> None:
    command = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while words and isinstance(command, TyperGroup) and not words[0].startswith("-"):
        assert words[0] in command.commands
        command = command.commands[words.pop(0)]
    known = {"--help"} | {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= known


@pytest.mark.slow
def test_the_code_of_the_guides_passes_what_the_code_of_the_project_passes(tmp_path: Path) -> None:
    pages = (page.relative_to(ROOT).as_posix() for page in (DOCS / "guides").glob("*.md"))
    code = {place: text for page in pages for place, text in code_of(page).items() if not place.startswith(APPENDED)}
    assert len(code) >= 3
    files = [str(write(tmp_path / place.replace("/", "_"), text)) for place, text in code.items()]
    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "--follow-imports=silent"]):
        configuration = "--config-file" if tool[0] == "mypy" else "--config"
        command = [sys.executable, "-m", *tool, configuration, str(ROOT / "pyproject.toml"), *files]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout


def write(file: Path, text: str) -> Path:
    file.write_text(text, "utf-8")
    return file


def test_the_picture_of_the_architecture_is_that_of_the_code() -> None:
    drawn = architecture.draw(read_folder(ROOT))
    kept = architecture.PICTURE.read_text("utf-8")
    assert kept == drawn, "run `python -m benchmarks.architecture`"
