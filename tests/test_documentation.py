"""What the pages say is there is there."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from typer.core import TyperGroup

from benchmarks import architecture, results
from benchmarks._source import read_folder
from ramer.cli import app
from ramer.evaluation.points import signed
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


SIX, FEW, MOSI, MOSI_FEW = "ravdess_meld_six_folds", "ravdess_meld_six_folds_100_labels", "mosi", "mosi_200_labels"


def kept(experiment: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads((results.KEPT / f"{experiment}.json").read_text("utf-8")))


def score(experiment: str, method: str, condition: str = "avg6") -> float:
    """Weighted F1 in points."""
    return 100 * float(kept(experiment)["methods"][method][condition]["weighted_f1"]["mean"])


def scores(*methods: str) -> list[float]:
    return [score(SIX, method) for method in methods]


def gain(experiment: str, method: str, over: str) -> float:
    return score(experiment, method) - score(experiment, over)


def planned(experiment: str, method: str, over: str) -> list[str]:
    """A planned difference and its interval, as the tables write them."""
    (found,) = (c for c in kept(experiment)["planned"] if (c["method"], c["reference"]) == (method, over))
    return [signed(found[key]) for key in ("difference", "low", "high")]


def unsigned(written: list[str]) -> list[str]:
    """The difference without its plus, for a sentence that says "above"."""
    return [written[0].removeprefix("+"), *written[1:]]


def grown(experiment: str) -> list[str]:
    """What the whole pool gives to a model trained without it, with the interval."""
    whole = kept(experiment)["pool"]["ramer_plus_late"][-1]["to_smallest"]
    return unsigned([signed(whole[key]) for key in ("difference", "low", "high")])


def purity(modality: str) -> list[float]:
    shares = kept(SIX)["purity"][modality]
    return [100 * shares[split] for split in ("train", "test")]


PLUS, SHUFFLED, ZEROS = "ramer_plus", "ramer_shuffled", "zero_fill"
RESULTS, README = "docs/results.md", "README.md"
OWN_SHARE = planned(FEW, PLUS, "ramer_plus_shuffled")
BY_LABELS = ", ".join(f"{{{i}[0]}} with {n} [{{{i}[1]}}, {{{i}[2]}}]" for i, n in enumerate((100, 200, 400)))
SENTENCES: list[tuple[str, str, Sequence[object]]] = [
    (RESULTS, "it is {0[0]} points above `blend` [{0[1]}, {0[2]}]", [unsigned(planned(FEW, PLUS, "blend"))]),
    (RESULTS, "and {0[0]} above `distil` [{0[1]}, {0[2]}]", [unsigned(planned(FEW, PLUS, "distil"))]),
    (
        RESULTS,
        "with 200 labels {0[0]} above `blend` [{0[1]}, {0[2]}], with 400 labels {1[0]} [{1[1]}, {1[2]}]; on",
        [unsigned(planned(f"{SIX}_{n}_labels", PLUS, "blend")) for n in (200, 400)],
    ),
    (
        RESULTS,
        f"; on `mosi` {BY_LABELS}; on generated data",
        [unsigned(planned(f"mosi_{n}_labels", PLUS, "blend")) for n in (100, 200, 400)],
    ),
    (
        RESULTS,
        f"on generated data {BY_LABELS} and {{3[0]}} with all [{{3[1]}}, {{3[2]}}].",
        [
            unsigned(planned(name, PLUS, "blend"))
            for name in (*(f"synthetic_{n}_labels" for n in (100, 200, 400)), "synthetic")
        ],
    ),
    (RESULTS, "`discriminant` alone is {:.1f} points above `blend` with 100", [gain(FEW, "discriminant", "blend")]),
    (RESULTS, "of `mosi` it is {:.1f} below, and", [gain(MOSI_FEW, "blend", "discriminant")]),
    (RESULTS, "{0[0]} above it [{0[1]}, {0[2]}].", [unsigned(planned(MOSI_FEW, PLUS, "discriminant"))]),
    (
        RESULTS,
        "{0[0]} points over itself with a shuffled database [{0[1]}, {0[2]}] with 100 labels of `ravdess_meld`, {1[0]} "
        "with 200 [{1[1]}, {1[2]}], {2[0]} with 400 [{2[1]}, {2[2]}]; on",
        [unsigned(planned(f"{SIX}_{n}_labels", PLUS, f"{PLUS}_shuffled")) for n in (100, 200, 400)],
    ),
    (
        RESULTS,
        f"; on `mosi` {BY_LABELS}. A ridge",
        [unsigned(planned(f"mosi_{n}_labels", PLUS, f"{PLUS}_shuffled")) for n in (100, 200, 400)],
    ),
    (RESULTS, "gives {:.1f} where they give {:.1f} with", [score(FEW, m) for m in ("ramer_plus_ridge", PLUS)]),
    (
        RESULTS,
        "it is {0[0]} points above `blend` on six folds [{0[1]}, {0[2]}], and {1[0]} [{1[1]}, {1[2]}] on `mosi`:",
        [unsigned(planned(name, PLUS, "blend")) for name in (SIX, MOSI)],
    ),
    (
        RESULTS,
        "`blend` has {:.1f}, the mean of the encoders' posteriors {:.1f}",
        scores("blend", "unimodal_ensemble"),
    ),
    (RESULTS, "`late_product` {:.1f}, zeros {:.1f}", scores("late_product", ZEROS)),
    (RESULTS, "with two of one kind it has {:.1f}", [score(SIX, "blend_twice")]),
    (RESULTS, "It is {0[0]} points above itself with a shuffled", [unsigned(planned(SIX, "ramer", SHUFFLED))]),
    (RESULTS, "{0[0]} with 100 labels, and", [unsigned(planned(FEW, "ramer", SHUFFLED))]),
    (RESULTS, "*below* zeros [{0[1]}, {0[2]}]", [planned(SIX, "ramer", ZEROS)]),
    (RESULTS, "labels level [{0[1]}, {0[2]}]", [planned(FEW, "ramer", ZEROS)]),
    (
        RESULTS,
        "zeros have {:.1f} on six folds (51.9 before) and `ramer` has {:.1f}",
        scores(ZEROS, "ramer"),
    ),
    (RESULTS, "{0[0]} points with 100 labels [{0[1]}, {0[2]}]", [grown(FEW)]),
    (RESULTS, "{0[0]} on `mosi` with 200 [{0[1]}, {0[2]}]", [grown(MOSI_FEW)]),
    (RESULTS, "{:.0f} % of a training row's five nearest faces have its label, and {:.0f} %", purity("video")),
    (RESULTS, "(audio {:.0f} and {:.0f},", purity("audio")),
    (RESULTS, "text {:.0f} and {:.0f};", purity("text")),
    (RESULTS, "`mmin` {:.1f}, `primd` {:.1f}, `icl_ca` {:.1f}", scores("mmin", "primd", "icl_ca")),
    (
        RESULTS,
        "`mmin` has {:.1f} and `retrieval_distil` the highest avg6 ({:.1f})",
        [score(MOSI, method) for method in ("mmin", "retrieval_distil")],
    ),
    (README, "{0[0]} points above `blend` [{0[1]}, {0[2]}]", [unsigned(planned(FEW, PLUS, "blend"))]),
    (
        README,
        "with all labels {0[0]} [{0[1]}, {0[2]}], on `mosi` with 400 labels {1[0]} [{1[1]}, {1[2]}].",
        [unsigned(planned(name, PLUS, "blend")) for name in (SIX, "mosi_400_labels")],
    ),
    (README, "{0[0]} of them owed to what is retrieved [{0[1]}", [unsigned(OWN_SHARE)]),
]


@pytest.mark.parametrize(("page", "words", "figures"), SENTENCES)
def test_a_figure_in_a_sentence_is_the_kept_one(page: str, words: str, figures: Sequence[object]) -> None:
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
