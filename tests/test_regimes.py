"""The regimes of the results: what is run, what is kept, what is not run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results
from benchmarks._kept import keep, planned, write_kept
from benchmarks._method import SHARED, mark, marked
from benchmarks._regimes import MAIN, REGIMES
from benchmarks._tables import bound_line, planned_table, pool_table, rows_line, seeds_line
from ramer.evaluation.bootstrap import Bootstrap, holm
from ramer.project import Project
from ramer.reporting.markdown import markdown_table
from ramer.reporting.results import read_results
from tests.support.simulated import METHODS, SimulatedProject
from tests.support.tiny_workspace import tiny_config


def test_the_main_regimes_are_each_corpus_with_all_labels_and_with_few() -> None:
    assert len(MAIN) == 12
    assert set(MAIN) <= set(REGIMES)
    for name in MAIN:
        changes = REGIMES[name].changes("DIR")
        assert ("prepare.folds=6" in changes) == name.startswith("ravdess_meld")
        assert ("retrieval.scope=all" in changes) == name.endswith("_labels")
        assert any(c.startswith("corpus.path=DIR/") for c in changes) != name.startswith("synthetic")


def test_a_recipe_is_that_of_all_parameters_and_of_no_folder() -> None:
    assert results.recipe_of("mosi") == results.recipe_of("mosi")
    assert len({results.recipe_of(name) for name in ("mosi", "mosi_100_labels", "synthetic")}) == 3


def kept_as(regime: str, methods: list[str]) -> dict[str, Any]:
    done = {"recipe": results.recipe_of(regime), "commit": "0123456789", "wanted": methods}
    return done | {"methods": {name: {} for name in methods}}


class CalledError(Exception):
    """A command would have been run."""


def refuse(*_: object, **__: object) -> str:
    raise CalledError


def test_what_is_kept_is_not_run_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(results, "call", refuse)

    def run(name: str, methods: tuple[str, ...] = (), again: bool = False) -> None:
        results.run(name, tmp_path, tmp_path / "work", methods, again=again, through_dvc=False)

    with pytest.raises(CalledError):
        run("mosi")
    write_kept(tmp_path / "kept" / "mosi.json", kept_as("mosi", ["ramer", "prior"]))
    run("mosi")
    run("mosi", ("prior",))
    assert capsys.readouterr().out.count("mosi: kept, made with 0123456; --again runs it anew") == 2
    with pytest.raises(CalledError):
        run("mosi", ("mmin",))
    with pytest.raises(CalledError):
        run("mosi", again=True)
    write_kept(tmp_path / "kept" / "mosi.json", kept_as("synthetic", ["ramer"]))
    with pytest.raises(CalledError):
        run("mosi")


def test_a_mark_holds_for_the_parameters_that_a_result_follows_from(tmp_path: Path) -> None:
    methods: dict[str, dict[str, Any]] = {"mine": {"type": "zero_fill"}, "near": {"type": "ramer", "k": 3}}
    project, config = Project(tmp_path), tiny_config(methods)
    assert marked(config, project, "near") is None
    mark(config, project, "near", 12.4)
    mark(config, project, SHARED, 3.0)
    assert marked(config, project, "near") == 12
    fewer = tiny_config({"near": methods["near"]}, report={"draws": 300})
    assert (marked(fewer, project, "near"), marked(fewer, project, SHARED)) == (12, 3)
    other = tiny_config({"near": {"type": "ramer", "k": 4}})
    assert (marked(other, project, "near"), marked(other, project, SHARED)) == (None, 3)
    wider = tiny_config(methods, retrieval={"width": 30, "scope": "all"})
    assert (marked(wider, project, "near"), marked(wider, project, SHARED)) == (None, None)


@pytest.fixture
def simulated(tmp_path: Path) -> SimulatedProject:
    three = {name: METHODS[name] for name in ("ramer", "zero_fill", "late_product")}
    return SimulatedProject(tmp_path, three, 2, 12)


def test_planned_comparisons_are_corrected_together(simulated: SimulatedProject) -> None:
    pairs = [("ramer", "zero_fill"), ("late_product", "ramer"), ("ramer", "not_run")]
    found = planned(simulated, simulated.config(), pairs)
    assert [(c.method, c.reference) for c in found] == pairs[:2]
    read = read_results(simulated, ["ramer", "zero_fill", "late_product"])
    tables = {name: method.predictions for name, method in read.methods.items()}
    bootstrap = Bootstrap(tables, read.groups, read.label_names, draws=300)
    assert bootstrap.clusters.unit == "speaker"
    alone = [bootstrap.compare(over, [("weighted_f1", "avg6")], [name])[0] for name, over in pairs[:2]]
    assert [(c.difference, c.low, c.high, c.p) for c in found] == [(c.difference, c.low, c.high, c.p) for c in alone]
    assert [c.p_holm for c in found] == holm([c.p for c in alone])


def test_what_is_kept_of_a_run_makes_its_table(simulated: SimulatedProject, tmp_path: Path) -> None:
    simulated.run()
    kept = keep(simulated, simulated.config())
    write_kept(tmp_path / "one.json", kept)
    assert json.loads((tmp_path / "one.json").read_text("utf-8")) == kept
    assert (kept["seeds"], kept["folds"]) == ([0, 1], [0])
    head = markdown_table(kept).splitlines()[0]
    assert "| retained | equity |" in head
    assert [(c["method"], c["reference"]) for c in kept["planned"]] == [("ramer", "zero_fill")]
    assert "| `ramer` against `zero_fill` |" in planned_table(kept["planned"])
    assert seeds_line(kept).startswith("2 seeds. Fewer than 8 seeds can flatter")
    assert bound_line(kept) == ""


def test_seeds_and_bounds_in_words() -> None:
    assert seeds_line({"seeds": list(range(8)), "folds": list(range(6))}) == "8 seeds, 6 folds.\n"
    assert seeds_line({}).startswith("3 seeds. Fewer")  # kept before seeds were noted
    assert bound_line({"bounds": {"bayes": {"avg6": 0.721, "avt": 0.891}}}).endswith("avg6 72.1, avt 89.1.\n")
    assert planned_table([]) == ""


def test_a_late_pool_has_its_intervals_in_the_tables() -> None:
    gain = {"difference": 0.008, "low": -0.001, "high": 0.017}
    score = {"mean": 0.45, "std": 0.01}
    least = {"pool": 0, "avg6": score, "to_smallest": None, "to_shuffled": {"difference": 0.0, "low": 0.0, "high": 0.0}}
    lines = pool_table({"late": [least, {"pool": 724, "avg6": score, "to_smallest": gain, "to_shuffled": gain}]})
    assert lines.splitlines()[2] == "| `late` | 0 | 45.0 |  | 0.0 [0.0, 0.0] |"
    assert lines.splitlines()[3] == "| `late` | 724 | 45.0 | +0.8 [−0.1, +1.7] | +0.8 [−0.1, +1.7] |"
    assert pool_table({}) == ""


def test_a_table_says_which_rows_are_of_an_earlier_run() -> None:
    assert rows_line({}) == ""
    said = rows_line({"rows_of": {"mmin": "0123456789", "icl_ca": "0123456789"}})
    assert said == "Not run again, but kept from 0123456 with the reference of that run: `icl_ca`, `mmin`.\n"
