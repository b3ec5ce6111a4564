"""Faults that the page once had: each would show on the page of before."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ramer.config import Evaluate
from ramer.evaluation.predictions import confusion_by_condition, score_predictions
from ramer.evaluation.scenarios import scenarios
from ramer.files import read_json, read_table, write_json, write_table
from ramer.reporting.figures.scores import rate_limits
from ramer.reporting.reliability import reliability
from ramer.reporting.speaker_spread import accuracy_by_group
from tests.support.simulated import METHODS, SimulatedProject

Make = Callable[..., SimulatedProject]
PAIR = {name: METHODS[name] for name in ("ramer", "late_product")}


def relabel(project: SimulatedProject, names: dict[str, str], extra: tuple[str, ...] = ()) -> None:
    """Give the classes other names, and the corpus more classes that no row is of."""
    corpus = read_json(project.corpus)
    labels = [names.get(n, n) for n in corpus["label_names"]] + list(extra)
    write_json(project.corpus, corpus | {"label_names": labels})
    for name in project.kinds:
        folder = project.method_results(name)
        table = read_table(folder / "predictions.parquet")
        table = table.assign(label=table["label"].replace(names), predicted=table["predicted"].replace(names))
        table = table.rename(columns={f"p/{a}": f"p/{b}" for a, b in names.items()})
        table = table.assign(**{f"p/{label}": np.float32(0) for label in extra})
        write_table(folder / "predictions.parquet", table)
        write_json(folder / "metrics.json", score_predictions(table, labels, 15, scenarios(Evaluate())))
        write_json(folder / "confusion.json", confusion_by_condition(table, labels))


def page_of(project: SimulatedProject, **sections: object) -> str:
    project.run(**sections)
    return project.report.read_text("utf-8")


@pytest.mark.usefixtures("words_only")
def test_it_has_a_title_and_a_corpus_card_and_says_nothing_of_other_corpora(make_project: Make) -> None:
    page = page_of(make_project(PAIR, seeds=1))
    assert "<h1>Emotion recognition with missing modalities: synthetic</h1>" in page
    card = page[page.index('<dl class="card">') :]
    assert re.search(r"<dt>classes</dt><dd>6: neutral, angry", card)
    assert "<dt>named speakers</dt><dd>20</dd>" in card
    for words in ("other runs", "three corpora", "one corpus of three"):
        assert words not in page


@pytest.mark.usefixtures("words_only")
def test_one_seed_has_no_spread_anywhere(make_project: Make) -> None:
    page = page_of(make_project(PAIR, seeds=1))
    assert "±" not in page
    assert "standard deviation over seeds" not in page


@pytest.mark.usefixtures("words_only")
def test_bold_in_a_table_is_the_best_deployable_method_and_nothing_else(make_project: Make) -> None:
    project = make_project({n: METHODS[n] for n in ("ramer", "late_product", "oracle")})
    page = page_of(project)
    style = page[page.index("<style>") : page.index("</style>")]
    bold = set(re.findall(r"(td\.[\w.-]+|tr\.[\w .-]+) \{ font-weight: 700", style))
    assert bold == {"td.best"}
    body = page[page.index("<tbody>") :]
    assert not re.search(r"<t[dh][^>]*>[^<]*<(b|strong)>", body)
    best = {name for cell, name in _cells(page, "conditions") if "best" in cell}
    assert best == {"late_product"}
    assert not [cell for cell, _ in _cells(page, "differences") if "best" in cell]
    assert "Holm's p below 0.05" in page


def _cells(page: str, section: str) -> list[tuple[str, str]]:
    part = page[page.index(f'<section id="{section}">') :]
    part = part[: part.index("</section>")]
    found = []
    for row in re.findall(r"<tr.*?</tr>", part, re.DOTALL):
        name = re.search(r'<span class="name">(\w+)</span>', row)
        found += [(cell, name[1]) for cell in re.findall(r"<td[^>]*>", row)] if name else []
    return found


@pytest.mark.usefixtures("words_only")
def test_too_few_speakers_stand_beside_the_headline_not_only_in_the_caveats(make_project: Make) -> None:
    page = page_of(make_project(PAIR, seeds=1, speakers=6))
    head = page[page.index("<h1>") : page.index("</header>")]
    lead, facts = head[: head.index("</p>")], head[head.index('class="facts"') :]
    for part in (lead, facts):
        assert "Only 6 speakers were tested, so rows were drawn" in part


@pytest.mark.usefixtures("words_only")
def test_enough_speakers_need_no_caution(make_project: Make) -> None:
    assert "so rows were drawn" not in page_of(make_project(PAIR, seeds=1))


@pytest.mark.usefixtures("words_only")
def test_classes_in_any_script_are_text_and_one_without_a_test_row_is_empty(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    relabel(project, {"happy": "高兴", "sad": "грусть"}, tuple(f"class {i}" for i in range(20)))
    page = page_of(project)
    matrix = page[page.index('class="matrix') :]
    matrix = matrix[: matrix.index("</table>")]
    assert '<th scope="col"><span>高兴</span></th>' in matrix
    line = next(row for row in matrix.split("<tr>") if '<th scope="row"><span class="class">class 7</span></th>' in row)
    assert set(re.findall(r"<td[^>]*>(.*?)</td>", line)) == {""}
    assert line.count("<td>") == 26
    classes = page[page.index('<section id="classes">') :]
    row = classes[classes.index('<th scope="row"><span class="class">class 7</span></th>') :].split("</tr>")[0]
    assert set(re.findall(r"<td>(.*?)</td>", row)) == {""}
    held = classes[classes.index('<th scope="row"><span class="class">грусть</span></th>') :].split("</tr>")[0]
    assert re.search(r"<td>\d+\.\d<small>\d+\.\d</small></td>", held)


@pytest.mark.usefixtures("words_only")
def test_the_curve_of_a_method_with_a_head_per_condition_is_explained(make_project: Make) -> None:
    from ramer.reporting.figures.learning import method_curves

    project = make_project(PAIR | {"per_condition": ("per_condition", False, False, 1.2)}, seeds=1)
    history = pd.read_csv(project.method("per_condition") / "history.csv")
    drawn = {
        m: method_curves({"per_condition": history}, {"per_condition": "#000000"}, m) for m in ((), ("per_condition",))
    }
    assert drawn[()] != drawn[("per_condition",)]


def test_the_axis_over_rates_fits_the_contenders() -> None:
    low, high = rate_limits({"a": [60.0, 40.0], "b": [62.0, 41.0]})
    assert 37 < low < 40
    assert 62 < high < 65


def test_reliability_is_the_accuracy_of_what_a_method_is_so_sure_of(make_project: Make) -> None:
    project = make_project(PAIR, seeds=2)
    table = read_table(project.method_results("ramer") / "predictions.parquet")
    labels = list(read_json(project.corpus)["label_names"])
    found = reliability(table, labels)
    full = table[table["condition"] == "avt"]
    sure = full[[f"p/{n}" for n in labels]].max(axis=1).astype(float)
    third = (sure > 0.3) & (sure <= 0.4)
    expected = (full["label"] == full["predicted"])[third].mean()
    bins = {round(10 * b.confidence - 0.5): b for b in found["all available"]}
    assert bins[3].accuracy == pytest.approx(expected)
    assert bins[3].rows == third.sum()
    assert all(b.rows >= 10 for group in found.values() for b in group)


@pytest.mark.usefixtures("words_only")
def test_speakers_are_scored_one_by_one(make_project: Make) -> None:
    from ramer.reporting.results import read_results

    project = make_project(PAIR, seeds=2)
    results = read_results(project, list(PAIR))
    scores = accuracy_by_group(results)
    assert len(scores) == 20
    table = results.methods["ramer"].predictions
    own = table[table["id"].map(results.groups).eq("speaker03") & (table["condition"] != "avt")]
    assert scores.loc["speaker03", "ramer"] == pytest.approx((own["label"] == own["predicted"]).mean())
    page = page_of(project)
    assert f"{100 * scores['ramer'].min():.1f}" in page[page.index("From speaker to speaker") :]
