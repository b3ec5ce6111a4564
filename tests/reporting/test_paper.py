"""The comparison as LaTeX, CSV and Markdown: what is chosen, what is bold, what a compiler would refuse."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest

from ramer.errors import RamerError
from ramer.evaluation.metrics import METRICS
from ramer.modalities import CONDITIONS
from ramer.reporting.comma_separated import csv_table
from ramer.reporting.latex import escaped, latex_table
from ramer.reporting.markdown import markdown_table
from ramer.reporting.score_table import Choice

SCORES = {"ramer": 0.51, "zero_fill": 0.55, "late_product": 0.5, "oracle": 0.9}
COMPARED = (("weighted_f1", "avg6"), ("weighted_f1", "a"), ("uar", "avg6"))


def summary(seeds: int = 3) -> dict[str, Any]:
    methods: dict[str, Any] = {}
    for name, score in SCORES.items():
        cells = {m: {"mean": 1 - score if m == "ece" else score, "std": 0.0123 if seeds > 1 else 0.0} for m in METRICS}
        methods[name] = {"deployable": name != "oracle"} | dict.fromkeys((*CONDITIONS, "avg6", "random_area"), cells)
    comparisons = [
        {"method": n, "reference": "late_product", "metric": m, "condition": c, "difference": -0.0123, "low": -0.02,
         "high": 0.001, "p": 0.0001, "p_holm": 0.0002}
        for n in SCORES if n != "late_product" for m, c in COMPARED
    ]  # fmt: skip
    return {
        "reference": "late_product",
        "seeds": list(range(seeds)),
        "conditions": list(CONDITIONS),
        "scenarios": ["random_area"],
        "methods": methods,
        "comparisons": comparisons,
    }


def rows_of(latex: str) -> tuple[int, list[list[str]]]:
    """Columns that the tabular declares, and the cells of its lines as LaTeX counts them."""
    declared = re.search(r"\\begin\{tabular\}\{(l)(r+)\}", latex)
    assert declared is not None
    inside = latex[latex.index(r"\toprule") : latex.index(r"\bottomrule")]
    lines = [line.removesuffix(r" \\").strip() for line in inside.splitlines() if line.endswith(r"\\")]
    assert all(not line.endswith("\\") for line in lines)
    cells = [re.split(r"(?<!\\)&", line) for line in lines]
    return 1 + len(declared[2]), [[cell.strip() for cell in row] for row in cells]


def width(row: list[str]) -> int:
    spans = [re.match(r"\\multicolumn\{(\d+)\}", cell) for cell in row]
    return sum(int(span[1]) if span else 1 for span in spans)


@pytest.mark.parametrize(
    "choice", [Choice(), Choice(metrics=("weighted_f1", "uar", "ece"), conditions=("avg6", "a")), Choice(("ramer",))]
)
def test_a_latex_table_is_one_that_compiles(choice: Choice) -> None:
    text = latex_table(summary(), choice)
    columns, rows = rows_of(text)
    assert {width(row) for row in rows} == {columns}
    bare = re.sub(r"\\[\\{}%&$#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    body = text.split("\n", 1)[1]
    assert not re.search(r"(?<![\\a-z])[_%#~](?![a-z]*\})", re.sub(r"\\cmidrule\(lr\)\{[^}]*\}", "", body))
    assert text.isascii()
    begins, ends = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert begins == ends[::-1] == ["table", "tabular"]
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(rf"\{rule}") == 1


def test_bold_is_the_best_deployable_method_of_a_column_and_nothing_else() -> None:
    _, rows = rows_of(latex_table(summary(), Choice(metrics=("weighted_f1", "ece"), conditions=("avg6", "a"))))
    by_name = {row[0]: row for row in rows}
    assert [r"\textbf" in cell for cell in by_name[r"zero\_fill"][1:5]] == [True] * 4
    assert sum(r"\textbf" in cell for row in rows for cell in row) == 4
    assert by_name[r"oracle$^\dagger$"][1] == r"90.0 $\pm$ 1.2"
    _, rows = rows_of(latex_table(summary(), Choice(methods=("ramer", "late_product"), conditions=("avg6",))))
    assert [row[0] for row in rows] == ["method", "ramer", r"late\_product"]
    assert rows[1][1] == r"\textbf{51.0} $\pm$ 1.2"


def test_the_interval_and_p_stand_beside_the_scores() -> None:
    _, rows = rows_of(latex_table(summary(), Choice(conditions=("avg6",))))
    by_name = {row[0]: row for row in rows}
    assert by_name["ramer"][2:] == ["$-$1.2 [$-$2.0, +0.1]", "$<$0.001"]
    assert by_name[r"late\_product"][2:] == ["reference", ""]
    _, rows = rows_of(latex_table(summary(), Choice(conditions=("avt",))))
    assert {len(row) for row in rows} == {2}  # nothing was compared there


def test_one_seed_has_no_spread() -> None:
    for write in (latex_table, markdown_table):
        assert not re.search(r"±|\\pm", write(summary(seeds=1)))
        assert re.search(r"±|\\pm", write(summary(seeds=2)))
    assert "mean over 2 seeds" in latex_table(summary(seeds=2))
    assert "seeds" not in latex_table(summary(seeds=1))
    lines = list(csv.DictReader(csv_table(summary(seeds=1)).splitlines()))
    assert {line["std"] for line in lines} == {""}


def test_the_csv_holds_what_the_summary_does() -> None:
    whole = summary()
    lines = list(csv.DictReader(csv_table(whole, Choice(metrics=("weighted_f1", "uar"))).splitlines()))
    assert len(lines) == len(SCORES) * 2 * (len(CONDITIONS) + 2)
    for line in lines:
        score = whole["methods"][line["method"]][line["condition"]][line["metric"]]
        assert (float(line["mean"]), float(line["std"])) == (score["mean"], score["std"])
        compared = (line["metric"], line["condition"]) in COMPARED
        assert bool(line["p"]) == (compared and line["method"] != "late_product")
    assert {line["deployable"] for line in lines if line["method"] == "oracle"} == {"false"}


def test_the_markdown_table_is_of_the_choice_too() -> None:
    lines = markdown_table(summary(), Choice(("oracle", "ramer"), ("uar",), ("avg6", "vt"))).splitlines()
    assert lines[0] == "| method | avg6 | vt | avg6 against `late_product` | p |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| `oracle` †", "| `ramer`"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(methods=("rammer",)), "--methods: 'rammer': expected one of ramer, zero_fill"),
        (Choice(metrics=("f1",)), "--metrics: 'f1': expected one of accuracy"),
        (Choice(conditions=("tav",)), "--conditions: 'tav': expected one of a, "),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(choice: Choice, said: str) -> None:
    for write in (latex_table, csv_table, markdown_table):
        with pytest.raises(RamerError) as caught:
            write(summary(), choice)
        assert len(caught.value.faults) == 1
        assert caught.value.faults[0].startswith(said)


def test_names_are_printed_as_they_stand() -> None:
    assert escaped("a_b & 50% {x} #1 $") == r"a\_b \& 50\% \{x\} \#1 \$"
    assert escaped("\\") == r"\textbackslash{}"
