"""The comparison as LaTeX, CSV and Markdown: what is chosen, what is bold, what a compiler would refuse."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from typing import Any

import pytest

from ramer.errors import RamerError
from ramer.evaluation.metrics import METRICS
from ramer.evaluation.predictions import RATIOS
from ramer.modalities import CONDITIONS
from ramer.reporting.choice import Choice, left_out
from ramer.reporting.comma_separated import csv_table
from ramer.reporting.latex import escaped, latex_table
from ramer.reporting.markdown import markdown_table

SCORES = {"ramer": 0.51, "zero_fill": 0.55, "late_product": 0.5, "oracle": 0.9}
COMPARED = (("weighted_f1", "avg6"), ("weighted_f1", "a"), ("uar", "avg6"), ("weighted_f1", "random_area"))
SCENARIOS = ("random_area", "random_0.5", "imbalanced_audio_scarce")
HOSTILE = ("a_b", "50%", "x & y", "#1", "$5", "{", "}", "~", "^2", "\\", "[x]", "*", "<|>", "two\n\nlines", "−±†Δ")


def summary(seeds: int = 3, scores: Mapping[str, float] = SCORES) -> dict[str, Any]:
    methods: dict[str, Any] = {}
    for name, score in scores.items():
        cells = {m: {"mean": 1 - score if m == "ece" else score, "std": 0.0123 if seeds > 1 else 0.0} for m in METRICS}
        for metric in ("weighted_f1", "uar"):
            cells[metric] |= {"low": score - 0.03, "high": score + 0.04}
        of_counts = {m: cells[m] for m in ("weighted_f1", "uar")}
        methods[name] = {"deployable": name != "oracle"} | dict.fromkeys((*CONDITIONS, "avg6"), cells)
        methods[name] |= dict.fromkeys(SCENARIOS, of_counts)
        methods[name] |= {ratio: {"weighted_f1": {"mean": 0.8012, "std": 0.01}} for ratio in RATIOS}
    comparisons = [
        {"method": n, "reference": "late_product", "metric": m, "condition": c, "difference": -0.0123, "low": -0.02,
         "high": 0.001, "p": 0.0001, "p_holm": 0.0002}
        for n in scores if n != "late_product" for m, c in COMPARED
    ]  # fmt: skip
    return {
        "reference": "late_product",
        "seeds": list(range(seeds)),
        "conditions": list(CONDITIONS),
        "scenarios": list(SCENARIOS),
        "confidence": 0.95,
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
    assert markdown_table(summary(), Choice(conditions=("avt",))).startswith("| method | avt weighted F1 |")


def test_a_difference_says_of_which_metric_it_is_and_how_wide_its_interval() -> None:
    choice = Choice(metrics=("uar", "weighted_f1"), conditions=("avg6", "area"))
    latex = latex_table(summary(), choice)
    assert r"$\Delta$: avg6 UAR against late\_product, with the 95 \% interval" in latex
    heads = [head.strip() for head in markdown_table(summary(), choice).splitlines()[0].strip("|").split("|")]
    assert heads[1:5] == ["avg6 UAR", "area UAR", "avg6 weighted F1", "area weighted F1"]
    assert heads[5:] == ["avg6 UAR against `late_product` [95 % interval]", "p"]
    finer, older = summary() | {"confidence": 0.975}, summary()
    del older["confidence"]  # written before the level was
    assert "the 97.5 \\% interval" in latex_table(finer)
    assert "with the interval" in latex_table(older)
    assert "against `late_product` [interval] | p |" in markdown_table(older)


def test_ratios_have_the_digits_of_every_score() -> None:
    choice = Choice(("ramer",), (), ("retained", "equity"))
    assert markdown_table(summary(), choice).splitlines()[-1] == "| `ramer` | 80.1 | 80.1 |"
    assert r"ramer & 80.1 & 80.1 \\" in latex_table(summary(), choice)


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
    assert len(lines) == len(SCORES) * (2 * (len(CONDITIONS) + 2) + len(RATIOS))
    for line in lines:
        score = whole["methods"][line["method"]][line["condition"]][line["metric"]]
        ends = [float(line[end]) if line[end] else None for end in ("score_low", "score_high")]
        assert ends == [score.get("low"), score.get("high")]
        assert (float(line["mean"]), float(line["std"])) == (score["mean"], score["std"])
        compared = (line["metric"], line["condition"]) in COMPARED
        assert bool(line["p"]) == (compared and line["method"] != "late_product")
    assert {line["deployable"] for line in lines if line["method"] == "oracle"} == {"false"}


def test_the_markdown_table_is_of_the_choice_too() -> None:
    lines = markdown_table(summary(), Choice(("oracle", "ramer"), ("uar",), ("avg6", "vt"))).splitlines()
    assert lines[0] == "| method | avg6 | vt | avg6 UAR against `late_product` [95 % interval] | p |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| `oracle` †", "| `ramer`"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(methods=("rammer",)), "--methods: 'rammer': expected one of ramer, zero_fill"),
        (Choice(metrics=("f1",)), "--metrics: 'f1': expected one of accuracy"),
        (Choice(conditions=("tav",)), "--conditions: 'tav': expected one of a, "),
        (
            Choice(metrics=("accuracy", "ece", "uar"), conditions=("avt", "retained")),
            "--conditions: 'retained': measured for weighted_f1, not for accuracy, ece, uar",
        ),
        (
            Choice(("ramer", "late_product"), ("uar",), ("retained",)),
            "--conditions: 'retained': measured for weighted_f1, not for uar",
        ),
        (
            Choice(metrics=("ece", "uar"), conditions=("random_0.5",)),
            "--metrics: 'ece': measured for a, v, t, av, at, vt, avt, avg6, not for random_0.5",
        ),
        (Choice(methods=("ramer", "ramer")), "--methods: 'ramer': expected once, named 2 times"),
        (Choice(metrics=("uar", "uar"), conditions=("avt",)), "--metrics: 'uar': expected once, named 2 times"),
        (Choice(conditions=("area", "random_area")), "--conditions: 'random_area': expected once, named 2 times"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(choice: Choice, said: str) -> None:
    for write in (latex_table, csv_table, markdown_table):
        with pytest.raises(RamerError) as caught:
            write(summary(), choice)
        assert len(caught.value.faults) == 1
        assert caught.value.faults[0].startswith(said)


def test_a_column_that_only_another_metric_has_is_left_out_with_a_word() -> None:
    choice = Choice(metrics=("weighted_f1", "uar"), conditions=("avg6", "retained"))
    assert left_out(summary(), choice) == ["left out: UAR of retained, which is not measured"]
    assert left_out(summary(), Choice(metrics=("uar",))) == []


def test_a_condition_is_taken_by_the_name_that_heads_its_column() -> None:
    named, headed = (Choice(("ramer",), (), (name,)) for name in ("random_area", "area"))
    for write in (latex_table, csv_table, markdown_table):
        assert write(summary(), named) == write(summary(), headed)
    assert markdown_table(summary(), headed).startswith("| method | area |")


def test_the_best_is_first_where_less_is_better() -> None:
    lines = markdown_table(summary(), Choice(metrics=("ece",))).splitlines()[2:]
    assert [line.split()[1] for line in lines] == ["`oracle`", "`zero_fill`", "`ramer`", "`late_product`"]


def unescaped(latex: str) -> list[str]:
    """Special characters that stand bare: outside mathematics, and neither a cell's end nor of a command."""
    body = re.sub(r"\\(usepackage|begin|end|label|cmidrule\(lr\)|multicolumn)\{[^}]*\}(\{[lrc]+\})?", "", latex)
    body = re.sub(r"\\[_&%#${}]", "", body)
    body = re.sub(r"\\text(backslash|asciitilde|asciicircum|bar)\{\}", "", body)
    body = re.sub(r"\$(-|<|>|p|\\pm|\^\\dagger|\\Delta)\$", "", body)
    body = re.sub(r"\\(caption|textbf|centering|toprule|midrule|bottomrule)\b", "", body)
    lines = [line.removesuffix(r" \\").replace(" & ", "") for line in body.splitlines()[1:]]
    return [line for line in lines if re.search(r"[\\_%#$~^&<>|−±†Δ]|^[\[*]", line)]


def test_no_name_reaches_latex_unescaped() -> None:
    whole = summary(scores=dict.fromkeys(HOSTILE, 0.5) | SCORES)
    whole["reference"], methods = HOSTILE[0], (HOSTILE[0], *HOSTILE[1:], "ramer")
    for condition in (*CONDITIONS, "avg6", *SCENARIOS, *RATIOS):
        for metric in METRICS:
            if metric in whole["methods"]["ramer"][condition]:
                text = latex_table(whole, Choice(methods, (metric,), (condition,)))
                assert unescaped(text) == [], (condition, metric)
                assert re.sub(r"\\[{}]", "", text).count("{") == re.sub(r"\\[{}]", "", text).count("}")
                assert {width(row) for row in rows_of(text)[1]} == {rows_of(text)[0]}
    for name in HOSTILE:
        assert unescaped(latex_table(whole | {"reference": name}, Choice((name, "ramer")))) == []
    assert unescaped("\\caption{random_area}\n\\caption{random_area}") == ["{random_area}"]


def test_names_are_printed_as_they_stand() -> None:
    assert escaped("a_b & 50% {x} #1 $") == r"a\_b \& 50\% \{x\} \#1 \$"
    assert escaped("\\") == r"\textbackslash{}"
