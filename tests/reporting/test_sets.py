"""What the report and the explorer say of sets follows from the predictions and the validation rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ramer.evaluation.bootstrap import Bootstrap
from ramer.evaluation.conformal_record import CONFORMAL_FILE
from ramer.files import read_table
from ramer.modalities import CONDITIONS
from ramer.reporting.explorer.answers import set_sizes
from ramer.reporting.explorer.arrays import packed
from ramer.reporting.explorer.shown_clips import choose_clips
from ramer.reporting.results import Results, read_results
from ramer.reporting.sets import judged_rows
from tests.support.simulated import METHODS, SimulatedProject

NAMES = ("zero_fill", "prior")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SimulatedProject:
    made = SimulatedProject(tmp_path_factory.mktemp("sets"), {n: METHODS[n] for n in NAMES}, 2, 12)
    (made.method_results("prior") / CONFORMAL_FILE).unlink()  # as a version before sets left it
    made.run()
    return made


@pytest.fixture(scope="module")
def results(project: SimulatedProject) -> Results:
    return read_results(project, NAMES)


def test_sets_of_test_rows_are_those_of_a_plain_loop(results: Results) -> None:
    method = results.methods["zero_fill"]
    judged = judged_rows(method, results.held, results.label_names, 0.8)
    assert judged is not None
    assert method.conformal is not None
    for _, line in judged.iloc[::53].iterrows():
        table = method.predictions
        own = table[(table["id"] == line["id"]) & (table["condition"] == line["condition"])]
        proba = {n: float(own[f"p/{n}"].mean()) for n in results.label_names}
        truth = sorted(method.conformal.folds["0"][line["condition"]].truth, reverse=True)
        least = truth[math.ceil((len(truth) + 1) * 0.8) - 1]
        members = {n for n, p in proba.items() if p >= least - 1e-5} | {max(proba, key=proba.__getitem__)}
        assert line["size"] == len(members)
        assert line["covered"] == (own["label"].iloc[0] in members)


def test_the_report_has_coverage_with_its_interval_and_the_size_of_the_sets(
    project: SimulatedProject, results: Results
) -> None:
    page = project.report.read_text("utf-8")
    judged = judged_rows(results.methods["zero_fill"], results.held, results.label_names, 0.9)
    assert judged is not None
    section = page[page.index('id="sets"') :].split("</table>")[0]
    for condition in CONDITIONS:
        rows = judged[judged["condition"] == condition]
        assert 0.8 < rows["covered"].mean() < 1.0
        assert f"{100 * rows['covered'].mean():.1f}" in section
        assert f"<small>{rows['size'].mean():.1f}</small>" in section
    assert section.count("<small>[") == len(CONDITIONS)
    assert ">prior<" not in section  # a method without validation rows is left out, the others are shown


def test_the_explorer_holds_the_size_of_every_set(project: SimulatedProject, results: Results) -> None:
    tables = {name: m.predictions for name, m in results.methods.items()}
    clusters = Bootstrap(tables, results.groups, results.label_names, draws=100).clusters
    rows = read_table(Path(project.prepared, "rows.parquet"))
    clips = choose_clips(tables["prior"], rows, results.label_names, clusters, 1000)
    judged = judged_rows(results.methods["zero_fill"], results.held, results.label_names, 0.9)
    assert judged is not None
    expected = np.zeros((2, len(CONDITIONS), len(clips)), dtype=np.uint8)
    for i, condition in enumerate(CONDITIONS):
        expected[0, i] = judged[judged["condition"] == condition].set_index("id")["size"].loc[list(clips.ids)]
    assert set_sizes(results, NAMES, clips, 0.9)["size"] == packed(expected)
    assert "hold the truth" in project.explorer.read_text("utf-8")
