"""The table that `make repro` prints."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ramer.evaluation.metrics import METRICS
from ramer.evaluation.points import points, signed
from ramer.modalities import CONDITIONS
from ramer.reporting.markdown import markdown_table
from ramer.reporting.tables import comparison_tables, p_text

NAMES = ("ramer", "ramer_literal", "zero_fill", "mean_fill", "late_product", "random_neighbours", "modality_dropout",
         "oracle", "prior", "distil")  # fmt: skip


def summary() -> dict:
    methods: dict = {}
    for i, name in enumerate(NAMES):
        cells = {m: {"mean": 0.4 + 0.01 * i, "std": 0.0123} for m in METRICS}
        methods[name] = {"deployable": name != "oracle"} | dict.fromkeys((*CONDITIONS, "avg6"), cells)
    comparisons = [
        {"method": n, "reference": "late_product", "metric": "weighted_f1", "condition": "avg6", "difference": -0.1234,
         "low": -0.1534, "high": 0.1034, "p": 0.01, "p_holm": 0.0471}
        for n in NAMES if n != "late_product"
    ]  # fmt: skip
    return {"reference": "late_product", "conditions": list(CONDITIONS), "methods": methods, "comparisons": comparisons}


def printed(width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(*comparison_tables(summary(), width))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_ten_methods_fit_110_columns_without_cutting_a_figure() -> None:
    lines = printed(110)
    assert max(len(line) for line in lines) <= 110
    assert not any("…" in line for line in lines)
    assert sum("49.0 ± 1.2" in line for line in lines) == 1
    cell = f"{signed(-0.1234)} [{signed(-0.1534)}, +10.3]  0.047"
    assert cell in next(line for line in lines if line.strip().startswith("distil"))


@pytest.mark.parametrize("width", [72, 80, 100])
def test_a_usual_terminal_shows_every_figure(width: int) -> None:
    lines = printed(width)
    assert max(len(line) for line in lines) <= width
    assert not any("…" in line for line in lines)
    first, second = (line.split() for line in lines if line.split()[:1] == ["distil"])
    assert first[1:5] == ["49.0", "±", "1.2", "49.0"]
    assert first[5:] == [*signed(-0.1234).split(), f"[{signed(-0.1534)},", "+10.3]", "0.047"]
    assert second[1:] == ["49.0"] * 6
    assert [line.split() for line in lines if line.split()[:1] == ["method"]] == [
        ["method", "avg6", "avt", "vs", "reference", "p"],
        ["method", "a", "v", "t", "av", "at", "vt"],
    ]


def test_a_long_name_is_folded_not_cut() -> None:
    long = summary()
    long["methods"]["m" * 60] = long["methods"]["ramer"]
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(*comparison_tables(long, 80))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    assert text.count("m" * 20) >= 2


def test_best_first_reference_named_and_bounds_marked() -> None:
    lines = [line.strip() for line in printed(110)]
    shown = [line.split()[0] for line in lines if line.split() and line.split()[0].strip("†") in NAMES]
    assert shown == ["distil", "prior", "oracle†", *reversed(NAMES[:7])]
    assert "reference" in next(line for line in lines if line.startswith("late_product"))
    assert any("avg6 [interval]" in line for line in lines)


def test_the_markdown_table_holds_the_same_figures() -> None:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown_table(summary()).splitlines()]
    assert len({len(line) for line in lines}) == 1
    assert lines[0][:3] == ["method", "avg6", "avt"]
    by_name = {line[0].strip("`† "): line for line in lines[2:]}
    assert list(by_name) == ["distil", "prior", "oracle", *reversed(NAMES[:7])]
    assert by_name["oracle"][0] == "`oracle` †"
    assert by_name["distil"][1] == "**49.0 ± 1.2**"
    assert by_name["distil"][-2:] == [f"{signed(-0.1234)} [{signed(-0.1534)}, +10.3]", "0.047"]
    assert by_name["late_product"][-2:] == ["reference", ""]


def test_the_markdown_table_says_retained_share_and_equity_where_they_are_known() -> None:
    known = summary()
    for i, method in enumerate(known["methods"].values()):
        method["retained"] = {"weighted_f1": {"mean": 0.705, "std": 0.0}}
        method["equity"] = {"weighted_f1": {"mean": None if i == 0 else 0.913, "std": None}}
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown_table(known).splitlines()]
    assert len({len(line) for line in lines}) == 1
    assert lines[0][-4:-2] == ["retained", "equity"]
    by_name = {line[0].strip("`† "): line for line in lines[2:]}
    assert by_name["distil"][-4:-2] == ["70.5", "91.3"]
    assert by_name["ramer"][-4:-2] == ["70.5", "-"]
    assert "equity" not in markdown_table(summary())


def test_figures_in_words() -> None:
    assert points(0.5066) == "50.7"
    assert (signed(0.0123), signed(-0.0123), signed(-0.0004)) == ("+1.2", "−1.2", "0.0")
    assert (p_text(0.0004), p_text(0.0471), p_text(0.3)) == ("<0.001", "0.047", "0.30")
