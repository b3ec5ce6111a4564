"""What the page shows, and no longer shows, while clips come, are refused, and change; in a real browser."""

from __future__ import annotations

import math
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer import Predictor
from ramer.errors import RamerError
from ramer.files import read_json, write_json
from ramer.project import Project
from ramer.serving.demo.app import build_app
from ramer.serving.demo.bounds import Bounds
from ramer.serving.demo.report_findings import read_found
from ramer.serving.demo.session import Session
from ramer.serving.raw_clips import ClipFeatures, ClipReader, SharedReader
from tests.support.browser import FAINT, chromium
from tests.support.served_project import build_project, corpus_of, rows_of, run_report
from tests.support.web_servers import answering

pytestmark = pytest.mark.slow
BOUNDS = Bounds(clip_bytes=50_000)
BROKEN = "nothing to predict from: audio: no sound; video: no face"


class GatedReader(ClipReader):
    """Reads a file once the gate is open, refuses one that says broken, and remembers the transcripts."""

    def __init__(self, dims: dict[str, int]) -> None:
        self.dims, self.gate = dims, threading.Event()
        self.transcripts: list[str | None] = []
        self.gate.set()

    def read(self, path: Path | None, transcript: str | None = None) -> ClipFeatures:
        assert self.gate.wait(30)
        self.transcripts.append(transcript)
        if path is not None and b"broken" in path.read_bytes():
            raise RamerError(f"{path}: {BROKEN}")
        held = [m for m in self.dims if (m == "text" and transcript) or (m != "text" and path)]
        vectors = {m: np.ones(d, np.float32) if m in held else None for m, d in self.dims.items()}
        return ClipFeatures(vectors, {m: "not in it" for m in self.dims if m not in held}, transcript)


@dataclass(frozen=True)
class Demo:
    """The page, what reads its clips, and a folder with files to drop."""

    address: str
    reader: GatedReader
    files: Path
    clip: str


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    methods: dict[str, dict[str, Any]] = {"ramer": {"type": "ramer", "k": 3}, "zero_fill": {"type": "zero_fill"}}
    root = build_project(tmp_path_factory.mktemp("demo") / "project", methods)
    run_report(root)
    return root


@pytest.fixture(scope="module")
def demo(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    files = tmp_path_factory.mktemp("clips")
    for name, content in {"one": b"film", "two": b"film", "broken": b"broken", "large": b"x" * 60_000}.items():
        (files / f"{name}.mp4").write_bytes(content)
    predictor, corpus = Predictor.load(project, "ramer"), corpus_of(project)
    reader = GatedReader({m: d for m, d in predictor.dims.items() if d})
    session = Session(predictor, corpus, SharedReader(reader), read_found(Project(project), "ramer"))
    rows = rows_of(project)
    whole = rows[corpus.available[rows].all(axis=1)][0]
    with answering(build_app(session, bounds=BOUNDS), BOUNDS) as address:
        yield Demo(address, reader, files, str(corpus.ids[whole]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from chromium()


@pytest.fixture
def page(browser: Any, demo: Demo) -> Iterator[Any]:
    demo.reader.gate.set()
    demo.reader.transcripts.clear()
    opened, faults = browser.new_page(viewport={"width": 1280, "height": 900}), []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(demo.address)
    opened.wait_for_selector(".switch")
    yield opened
    opened.close()
    assert faults == []


def drop(page: Any, demo: Demo, name: str) -> None:
    page.set_input_files("#file", demo.files / f"{name}.mp4")


def wait_for_answer(page: Any) -> None:
    page.wait_for_selector(".bar", timeout=30_000)


def test_nothing_of_another_clip_stays_while_one_is_read(page: Any, demo: Demo) -> None:
    page.select_option("#pick", demo.clip)
    wait_for_answer(page)
    page.click("#switch-video")
    page.wait_for_selector("#legend:visible")
    demo.reader.gate.clear()
    drop(page, demo, "one")
    page.wait_for_function("document.getElementById('bars').textContent === 'Reading one.mp4…'")
    assert page.locator(".bar, #near li, #legend:visible, #set:visible").count() == 0
    assert page.locator(".switch[aria-checked=true]").count() == 0
    assert page.locator(".switch:enabled").count() == 0
    assert "Its label in the corpus" not in page.inner_text("main")
    assert page.input_value("#pick") == ""
    assert page.get_attribute("body", "aria-busy") == "true"
    demo.reader.gate.set()
    wait_for_answer(page)
    assert page.get_attribute("body", "aria-busy") is None


def test_nothing_stays_after_one_was_refused_and_the_fault_stands_where_it_was_dropped(page: Any, demo: Demo) -> None:
    for name, said in (("broken", f"broken.mp4: {BROKEN}"), ("large", "large.mp4 has 1 MB; at most 0.05 MB are read")):
        drop(page, demo, "one")
        wait_for_answer(page)
        drop(page, demo, name)
        page.wait_for_selector("#drop-fault:not(:empty)")
        assert page.inner_text("#drop-fault") == said
        assert page.inner_text("#bars") == f"Nothing to show: {name}.mp4 was not taken."
        assert page.locator(".bar, #near li, #set:visible, .switch:enabled").count() == 0
        assert page.inner_text("#drop-text") == f"{name}.mp4"
        assert page.locator("#drop-fault").get_attribute("role") == "alert"
        drop_box, alert_box = (page.locator(s).bounding_box() for s in ("#drop", "#drop-fault"))
        assert 0 <= alert_box["y"] - (drop_box["y"] + drop_box["height"]) < 20
    assert not page.locator("#player").is_visible()  # the large one was not taken, the one before is gone
    drop(page, demo, "two")
    wait_for_answer(page)
    assert page.inner_text("#drop-fault") == ""


def test_a_clip_that_comes_later_is_not_overwritten_by_one_that_was_slow(page: Any, demo: Demo) -> None:
    demo.reader.gate.clear()
    drop(page, demo, "one")
    page.wait_for_function("document.getElementById('bars').textContent.startsWith('Reading one')")
    page.select_option("#pick", demo.clip)
    wait_for_answer(page)
    shown = page.inner_text("#bars")
    demo.reader.gate.set()
    page.wait_for_timeout(500)
    assert page.inner_text("#bars") == shown
    assert page.inner_text("#status").startswith("Its label in the corpus")
    assert not page.locator("#player").is_visible()


def test_a_transcript_belongs_to_its_clip(page: Any, demo: Demo) -> None:
    page.fill("#transcript", "of the first")
    drop(page, demo, "one")
    wait_for_answer(page)
    assert page.input_value("#transcript") == "of the first"
    drop(page, demo, "two")
    page.wait_for_function("document.getElementById('drop-text').textContent === 'two.mp4'")
    wait_for_answer(page)
    assert page.input_value("#transcript") == ""
    page.fill("#transcript", "of the second")
    page.click("#read")
    page.wait_for_selector("#switch-text:enabled")
    assert demo.reader.transcripts == ["of the first", None, "of the second"]
    page.select_option("#pick", demo.clip)
    wait_for_answer(page)
    assert page.input_value("#transcript") == ""


def test_words_alone_are_a_clip_and_none_are_said_to_be_lacking(page: Any, demo: Demo) -> None:
    assert page.inner_text("#read") == "Use these words alone"
    page.click("#read")
    assert page.inner_text("#words-fault") == "Write what is said first."
    page.select_option("#pick", demo.clip)
    wait_for_answer(page)
    page.fill("#transcript", "kids are talking")
    page.click("#read")
    page.wait_for_selector("#switch-audio:disabled")
    wait_for_answer(page)
    assert demo.reader.transcripts == ["kids are talking"]
    assert (page.input_value("#pick"), page.inner_text("#words-fault")) == ("", "")


def test_a_switch_waits_for_the_answer_that_others_are_compared_with(page: Any, demo: Demo) -> None:
    def later(route: Any) -> None:
        time.sleep(0.5)
        route.continue_()

    page.route("**/api/predict", later)
    page.select_option("#pick", demo.clip)
    page.click("#switch-video")
    page.wait_for_selector("[data-target=video]")
    assert page.locator("#legend").is_visible()
    assert page.locator(".mark:visible").count() == page.locator(".bar").count()


def test_a_server_that_is_gone_is_said_where_the_answer_would_be(page: Any, demo: Demo) -> None:
    page.select_option("#pick", demo.clip)
    wait_for_answer(page)
    page.route("**/api/predict", lambda route: route.abort())
    page.click("#switch-audio")
    page.wait_for_selector("#answer-fault:not(:empty)")
    assert page.inner_text("#answer-fault") == "No answer: is ramer demo still running?"
    assert page.locator(".bar").count() == 0
    page.unroute("**/api/predict")
    page.click("#switch-audio")
    wait_for_answer(page)
    assert page.inner_text("#answer-fault") == ""


def test_the_model_and_what_its_report_says_are_on_the_page(page: Any, project: Path) -> None:
    cards = read_json(Project(project).cards)
    about = page.inner_text(".about")
    advice = [line.replace("`", "") for line in cards["methods"]["ramer"]["advice"]]
    assert advice[0].startswith("ramer is ")
    assert " zero_fill, which puts zeros where something is missing, on this corpus (95 % interval " in advice[0]
    for line in (*advice, *cards["limits"]):
        assert line in about
    assert "ramer, trained on synthetic, knows" in about
    assert all(label in about for label in corpus_of(project).label_names)


def test_sets_say_how_often_they_held_on_test_clips(page: Any, demo: Demo, project: Path) -> None:
    page.select_option("#pick", demo.clip)
    wait_for_answer(page)
    scores = read_json(Project(project).cards)["methods"]["ramer"]["scores"]
    told = 0
    for switched, condition in ((None, "avt"), ("text", "av"), ("audio", "v")):
        if switched is not None:
            page.click(f"#switch-{switched}")
            page.wait_for_selector(f"#switch-{switched}[aria-checked=false]")
            page.wait_for_selector(f"[data-target={switched}]")
        (held,) = [s for s in scores if (s["metric"], s["condition"]) == ("set_coverage", condition)]
        share, low, high = (math.floor(100 * held[key] + 0.5) for key in ("value", "low", "high"))
        said = page.inner_text("#set")
        told += f"held it for {share} % ({low} to {high})" in said
        made = "Sets made like this hold the true emotion of 90 % of clips like those of validation. This one: "
        assert said.startswith((made, "The model cannot rule any emotion out."))
    assert told


def test_advice_of_other_checkpoints_is_not_repeated(project: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(project, root)
    path = Project(root).method("ramer") / "method.json"
    write_json(path, read_json(path) | {"validation_selection": 0.1})
    (said,) = read_found(Project(root), "ramer").advice
    assert "other checkpoints" in said
    Project(root).cards.unlink()
    assert "No report lies beside this model" in read_found(Project(root), "ramer").advice[0]
    Project(root).cards.write_text("{")
    assert "cards.json: not valid JSON" in read_found(Project(root), "ramer").advice[0]


def test_long_names_fit_a_phone_and_are_shown_whole(browser: Any, demo: Demo, project: Path) -> None:
    """Names of the corpus, its classes and its clips that cannot be broken at a space."""
    long, corpus = "x" * 110, corpus_of(project)
    names = [*corpus.label_names, *map(str, corpus.ids), "synthetic"]

    def renamed(route: Any) -> None:
        asked = route.request
        answer = route.fetch(
            url=asked.url.replace(long, ""), post_data=(asked.post_data or "").replace(long, "") or None
        )
        route.fulfill(
            response=answer, body=re.sub(f'"({"|".join(map(re.escape, names))})"', rf'"{long}\1"', answer.text())
        )

    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.route(re.compile(r"/api/"), renamed)
    page.goto(demo.address)
    page.wait_for_selector(".switch")
    page.select_option("#pick", f"{long}{demo.clip}")
    wait_for_answer(page)
    page.click("#switch-video")
    page.wait_for_selector("#near li")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    shown = page.locator(".bar .name").all_inner_texts()
    assert [name.removeprefix(long) for name in shown] == list(corpus.label_names)
    cut = "[...document.querySelectorAll('.bar .name, .near .label, .near .id, #set')]"
    assert page.evaluate(f"{cut}.filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.className)") == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_everything_fits_and_can_be_read_and_reached(browser: Any, demo: Demo, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(demo.address)
    page.wait_for_selector(".switch")
    page.select_option("#pick", demo.clip)
    wait_for_answer(page)
    page.click("#switch-video")
    page.wait_for_selector("#near li")
    drop(page, demo, "broken")
    page.wait_for_selector("#drop-fault:not(:empty)")
    page.select_option("#pick", demo.clip)
    wait_for_answer(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate(FAINT) == []
    page.locator("h1").click()  # the keyboard goes on from there
    seen = []
    for _ in range(10):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id"))
    order = [name for name in seen if name not in ("", "player")]
    assert order[:8] == [
        "to-about",
        "file",
        "transcript",
        "read",
        "pick",
        "switch-audio",
        "switch-video",
        "switch-text",
    ]
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select, textarea, button')].filter((e) => !e.labels?.length"
        " && !e.textContent.trim() && !e.ariaLabel && !e.getAttribute('aria-labelledby')).map((e) => e.id)"
    )
    assert unnamed == []
    page.close()
