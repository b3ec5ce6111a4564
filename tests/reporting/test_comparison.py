"""The report stage's function: what it writes, what it refuses, what it leaves alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from ramer.config import Synthetic
from ramer.data.synthetic import synthetic_evidence
from ramer.errors import RamerError
from ramer.evaluation.metrics import METRICS
from ramer.files import read_json, read_table, write_json, write_table
from ramer.modalities import CONDITIONS
from ramer.reporting.figures.class_figures import confusions
from tests.support.simulated import LABELS, METHODS, SimulatedProject

Make = Callable[..., SimulatedProject]
PAIR = {name: METHODS[name] for name in ("ramer", "late_product")}


class Page(HTMLParser):
    """Visible text and what the page would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.policy = ""
        self._silent = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._silent = tag in ("style", "title")
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())


def read_page(out: Path) -> Page:
    return Page((out / "report.html").read_text("utf-8"))


@pytest.mark.slow
def test_summary_headline_and_page_of_eight_methods(make_project: Make) -> None:
    project = make_project()
    out = project.run()
    summary, headline = read_json(out / "summary.json"), read_json(out / "headline.json")
    about = {"reference", "conditions", "scenarios", "folds", "seeds", "confidence"}
    assert set(summary) == about | {"methods", "comparisons"}
    assert summary["confidence"] == project.config().report.confidence
    for metric, condition in product(("weighted_f1", "uar"), ("avg6", "a", "random_area")):
        score = summary["methods"]["ramer"][condition][metric]
        assert score["low"] < score["mean"] < score["high"]
    assert (summary["folds"], summary["seeds"]) == ([0], [0, 1, 2])
    assert summary["reference"] == "late_product"
    assert summary["conditions"] == list(CONDITIONS)
    assert list(summary["methods"]) == sorted(METHODS)
    assert summary["methods"]["oracle"]["deployable"] is False
    for condition in (*CONDITIONS, "avg6"):
        assert set(summary["methods"]["ramer"][condition]) == set(METRICS)
    metrics = read_json(out / "methods/ramer/metrics.json")
    for key in ("v/uar", "random_area/weighted_f1", "v/ece"):
        condition, metric = key.split("/")
        score = summary["methods"]["ramer"][condition][metric]
        assert (score["mean"], score["std"]) == (metrics[key], metrics[f"{key}_std"])
    assert set(score) == {"mean", "std"}  # nothing is drawn of a calibration error
    for ratio in ("retained", "equity"):
        told = {"mean": metrics[f"{ratio}/weighted_f1"], "std": metrics[f"{ratio}/weighted_f1_std"]}
        assert summary["methods"]["ramer"][ratio] == {"weighted_f1": told}
    assert headline["ramer"] == {
        "avg6_weighted_f1": metrics["avg6/weighted_f1"],
        "avt_weighted_f1": metrics["avt/weighted_f1"],
    }
    at_random = ("random_area", "imbalanced_audio_scarce", "imbalanced_video_scarce", "imbalanced_text_scarce")
    assert set(at_random) < set(summary["scenarios"])
    families = {(c["metric"], c["condition"]) for c in summary["comparisons"]}
    assert families == {("weighted_f1", c) for c in (*CONDITIONS, "avg6", *at_random)} | {("uar", "avg6")}
    assert len(summary["comparisons"]) == 13 * 7
    text = read_page(out).text
    for words in ("Methods by condition", "What retrieval does", "What is mistaken for what", "Caveats", "avg6"):
        assert words in text
    for name in METHODS:
        assert name in text
    plots = {path.stem for path in (out / "plots").iterdir()}
    assert {path.suffix for path in (out / "plots").iterdir()} == {".png", ".pdf"}
    assert plots == {
        "conditions",
        "differences",
        "confusion",
        "encoders",
        "rates",
        "training",
        "purity",
        "reliability",
        "speakers",
    }


@pytest.mark.usefixtures("words_only")
def test_first_line_says_what_to_use_what_retrieval_adds_and_what_seeing_all_gives(make_project: Make) -> None:
    out = make_project({n: METHODS[n] for n in ("ramer", "late_product", "oracle")}).run()
    comparisons = read_json(out / "summary.json")["comparisons"]
    found = next(
        c for c in comparisons if (c["method"], c["condition"], c["metric"]) == ("ramer", "avg6", "weighted_f1")
    )
    low, high = (f"{100 * found[k]:+.1f}".replace("-", "−") for k in ("low", "high"))
    first = read_page(out).text[:480]
    assert first.startswith("Emotion recognition with missing modalities: synthetic Use late_product: of the methods")
    assert "it is the best on validation rows" in first
    assert f"95 % interval {low} to {high}: distinguishable from none." in first
    assert "For comparison, oracle is shown what is missing" in first
    assert "eiling" not in read_page(out).text


@pytest.mark.usefixtures("words_only")
def test_a_difference_within_noise_is_called_that(make_project: Make) -> None:
    twins = {"ramer": ("ramer", True, True, 1.0), "zero_fill": ("zero_fill", True, False, 1.0)}
    page = read_page(make_project(twins, seeds=1, speakers=6).run())
    assert "not distinguishable from none" in page.text
    assert "shown what is missing" not in page.text
    assert "only 6 speakers" in page.text
    assert "Only 1 seed" in page.text


@pytest.mark.usefixtures("words_only")
def test_the_bound_of_a_generated_corpus_is_shown_and_no_other_has_one(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    assert "bounds" not in read_json(project.run() / "summary.json")
    assert "Bayes" not in read_page(project.results).text
    knobs = Synthetic(rows=project.rows)
    known = synthetic_evidence(knobs)
    provenance = {"kind": "synthetic", "knobs": knobs.model_dump()}
    write_json(project.corpus, read_json(project.corpus) | {"provenance": provenance})
    numbers = {clip: i for i, clip in enumerate(project.ids)}
    for name in PAIR:
        path = project.method_results(name) / "predictions.parquet"
        table = read_table(path)
        rows = table["id"].map(numbers).to_numpy()
        write_table(path, table.assign(label=np.array(LABELS)[known.labels[rows]]))
    out = project.run()
    bound = read_json(out / "summary.json")["bounds"]["bayes"]
    assert 0.6 < bound["avg6"]["weighted_f1"] < 0.8 < bound["avt"]["accuracy"] < 0.95
    assert f"no method can be expected above{100 * bound['avg6']['weighted_f1']:.1f}" in read_page(out).text


def test_the_page_opens_offline_and_needs_no_script(make_project: Make) -> None:
    page = read_page(make_project(PAIR, seeds=1).run())
    assert "script" not in page.tags
    assert "link" not in page.tags
    elsewhere = {url for url in page.fetched if not url.startswith(("data:image/png;base64,", "#"))}
    assert elsewhere == {"explorer.html"}
    assert page.policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    html = " ".join(page.parts)
    assert not re.search(r"https?://", html)


@pytest.mark.usefixtures("words_only")
def test_a_generated_corpus_carries_a_warning_and_a_real_one_does_not(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    assert "This corpus is generated." in read_page(project.run()).text
    path = project.corpus
    write_json(path, read_json(path) | {"name": "mosi", "provenance": {"kind": "npz"}})
    assert "This corpus is generated." not in read_page(project.run()).text


@pytest.mark.slow
def test_two_runs_write_the_same_bytes(make_project: Make) -> None:
    project = make_project(PAIR, seeds=2)
    outputs = (project.summary, project.headline, project.report, project.explorer, project.plots, project.plot_data)
    project.run()
    first = {f: f.read_bytes() for o in outputs for f in files_of(o)}
    for path in outputs:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    project.run()
    assert first == {f: f.read_bytes() for o in outputs for f in files_of(o)}
    assert not any(b"Software" in data or b"tIME" in data for f, data in first.items() if f.suffix == ".png")
    assert not any(b"CreationDate" in data or b"Matplotlib" in data for f, data in first.items() if f.suffix == ".pdf")


def files_of(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


@pytest.mark.usefixtures("words_only")
def test_only_listed_methods_are_read(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    stale = project.method_results("stale")
    stale.mkdir()
    (stale / "metrics.json").write_text("{torn", "utf-8")
    project.run()
    assert set(read_json(project.headline)) == set(PAIR)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("metrics.json", None, "no such file"),
        ("metrics.json", b'{"avg6/we', "not valid JSON"),
        ("metrics.json", b"[]", "expected a mapping, got list"),
        ("metrics.json", b"{}", "expected the keys a/accuracy"),
        ("method.json", b"{}", "expected the keys name, type, options, deployable"),
        ("confusion.json", b"{", "not valid JSON"),
        ("predictions.parquet", b"PAR1 torn", "not a parquet table"),
        ("predictions.parquet", None, "no such file"),
    ],
)
def test_a_missing_or_torn_file_is_named_in_one_line(
    make_project: Make, file: str, content: bytes | None, said: str
) -> None:
    project = make_project(PAIR, seeds=1)
    path = project.method_results("ramer") / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(RamerError) as caught:
        project.run()
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith(f"{path}: ")
    assert said in caught.value.faults[0]
    assert "\n" not in caught.value.faults[0]
    assert not (project.summary).exists()
    assert not (project.report).exists()


def test_every_faulty_method_is_named_at_once(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    for name in PAIR:
        (project.method_results(name) / "confusion.json").unlink()
    with pytest.raises(RamerError) as caught:
        project.run()
    assert len(caught.value.faults) == 2


def test_a_torn_history_is_refused_and_an_absent_one_is_not(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    history = project.method("ramer") / "history.csv"
    history.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(RamerError, match=r"history\.csv: expected the columns replicate, epoch$"):
        project.run()
    history.unlink()
    project.run()
    assert not (project.plots / "training.png").exists()
    assert (project.plots / "encoders.png").exists()


def test_one_method_alone_and_a_corpus_without_figures_still_make_a_page(make_project: Make) -> None:
    project = make_project({"ramer": METHODS["ramer"]}, seeds=1)
    for folder in (project.all_neighbours, project.all_encoders):
        shutil.rmtree(folder)
    path = project.corpus
    needed = ("dims", "label_names", "replicates")
    write_json(path, {key: value for key, value in read_json(path).items() if key in needed} | {"name": "bare"})
    page = read_page(project.run())
    assert "Only one method was run" in page.text
    assert "what retrieval (ramer) adds is not known" in page.text
    assert read_json(project.summary)["comparisons"] == []


@pytest.mark.usefixtures("words_only")
def test_a_named_reference_is_used_and_retrieval_is_still_held_against_the_best_baseline(make_project: Make) -> None:
    names = ("ramer", "zero_fill", "late_product")
    project = make_project({n: METHODS[n] for n in names}, seeds=1)
    page = read_page(project.run(report={"draws": 300, "reference": "zero_fill"}))
    assert read_json(project.summary)["reference"] == "zero_fill"
    assert "from the best without it (late_product)" in page.text


@pytest.mark.usefixtures("words_only")
def test_purity_says_that_training_neighbours_are_too_good(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    text = read_page(project.run()).text
    assert "Widest gap: video, where 81 % of a training row's neighbours share its label, but only 44 %" in text
    path = project.neighbours("video") / "diagnostics.json"
    report = read_json(path)
    report["mean"]["label_purity"] = {"train": None, "val": None, "test": None}
    write_json(path, report)
    assert "Widest gap: text" in read_page(project.run()).text


@pytest.mark.usefixtures("words_only")
def test_what_approximate_indexes_miss_is_said(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    assert "approximate" not in read_page(project.run()).text
    path = project.neighbours("video") / "diagnostics.json"
    report = read_json(path)
    report["mean"]["index_recall_at_5"] = 0.973
    write_json(path, report)
    assert "find this share of the exact five nearest: video 97.3 %." in read_page(project.run()).text


@pytest.mark.usefixtures("words_only")
def test_method_names_cannot_inject_markup(make_project: Make) -> None:
    project = make_project(PAIR, seeds=1)
    path = project.corpus
    write_json(path, read_json(path) | {"name": "<script>alert(1)</script>", "notes": ["<b>bold</b>"]})
    assert "script" not in read_page(project.run()).tags


def test_confusion_of_the_page_is_the_mean_over_rows_not_over_counts() -> None:
    counts = {c: np.array([[8, 2], [1, 1]]) for c in CONDITIONS}
    drawn = confusions({"one": counts}, ["a", "b"])
    assert drawn.png.startswith(b"\x89PNG")
    assert drawn.pdf.startswith(b"%PDF")
    assert drawn == confusions({"one": {c: 3 * m for c, m in counts.items()}}, ["a", "b"])


@pytest.mark.usefixtures("words_only")
def test_retrieval_is_held_against_its_own_shuffled_database_where_that_was_run(make_project: Make) -> None:
    names = ("ramer", "late_product", "random_neighbours")
    project = make_project({n: METHODS[n] for n in names} | {"ramer_shuffled": ("ramer", False, True, 0.6)})
    for name, database in (("ramer", "real"), ("ramer_shuffled", "shuffled")):
        path = project.method_results(name) / "method.json"
        write_json(path, read_json(path) | {"options": {"type": "ramer", "k": 5, "database": database}})
    text = read_page(project.run()).text
    assert "Against ramer_shuffled, the control with a shuffled database, it is" in text
    assert "draws its neighbours at random" not in text
