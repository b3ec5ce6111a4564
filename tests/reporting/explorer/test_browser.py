"""The explorer in a real browser: what a reader sees, by mouse, keyboard, phone and link."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ramer.files import read_json, read_table, write_json, write_table
from tests.support.browser import FAINT, chromium, said_of_pdf
from tests.support.simulated import LABELS, METHODS, SimulatedProject

pytestmark = pytest.mark.slow
KINDS = {n: METHODS[n] for n in ("ramer", "zero_fill", "late_product", "oracle", "prior")}
PAPER = 1031  # pixels between the margins of A4 on its side: 273 mm
KINDS["ramer_shuffled"] = ("ramer", False, True, 0.6)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from chromium()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SimulatedProject:
    """A run whose retrieval has a shuffled control and lent clips, with one clip that lacks its text."""
    made = SimulatedProject(tmp_path_factory.mktemp("explorer"), KINDS, 2, 12)
    rows = read_table(made.prepared / "rows.parquet")
    held = {f"available_{m}": np.ones(len(rows), dtype=bool) for m in ("audio", "video", "text")}
    held["available_text"][5] = False
    write_table(made.prepared / "rows.parquet", rows.assign(**held))
    for name, database, lender in (("ramer", "real", "clip0100"), ("ramer_shuffled", "shuffled", "clip0101")):
        path = made.method_results(name) / "method.json"
        write_json(path, read_json(path) | {"options": {"type": "ramer", "k": 5, "database": database}})
        lent = {"id": ["clip0003"], "condition": ["a"], "modality": ["video"], "rank": [0], "neighbour": [lender]}
        table = pd.DataFrame(lent | {"score": [0.87], "label": ["happy"]})
        write_table(made.method_results(name) / "lent.parquet", table)
    made.run()
    return made


def open_page(browser: Any, project: SimulatedProject, address: str = "", **options: Any) -> tuple[Any, list[str]]:
    """The page, and the list that its complaints go into."""
    page, complaints = browser.new_page(**({"viewport": {"width": 1280, "height": 900}} | options)), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text))
    page.on("request", lambda asked: None if asked.url.startswith(("file:", "blob:")) else complaints.append(asked.url))
    page.goto(project.explorer.resolve().as_uri() + address)
    page.wait_for_selector("main h2")
    return page, complaints


def predicted(project: SimulatedProject, method: str) -> pd.DataFrame:
    """Class with the largest mean probability, by clip and condition."""
    table = read_table(project.method_results(method) / "predictions.parquet")
    mean = table.groupby(["id", "condition"])[[f"p/{name}" for name in LABELS]].mean()
    best = np.array(LABELS)[mean.to_numpy().argmax(axis=1)]
    said = pd.Series(best, index=mean.index).unstack()
    said["truth"] = table.groupby("id")["label"].first()
    return said


def count(page: Any) -> int:
    return int(page.locator("#count").inner_text().split()[0])


VIEWS = {"clips": "Clips", "clip": "One clip", "versus": "Two methods", "risk": "Risk", "map": "Map"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_can_be_read_and_heard(browser: Any, project: SimulatedProject, scheme: str) -> None:
    page, complaints = open_page(browser, project, color_scheme=scheme)
    for view, title in VIEWS.items():
        page.goto(f"{project.explorer.resolve().as_uri()}#view={view}")
        page.wait_for_selector(f"#views a[aria-current]:text-is('{title}')")
        assert page.evaluate(FAINT) == [], view
        named = "document.getElementById(t.getAttribute('aria-labelledby'))"
        assert page.evaluate(f"[...document.querySelectorAll('table')].filter((t) => !{named}).length") == 0
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
        assert len(ids) == len(set(ids)), view
    assert not complaints


def test_on_paper_no_column_is_cut_and_words_stand_for_controls(
    browser: Any, project: SimulatedProject, tmp_path: Path
) -> None:
    page, _ = open_page(browser, project, viewport={"width": PAPER, "height": 700}, color_scheme="dark")
    page.emulate_media(media="print")
    for view, title in VIEWS.items():
        page.goto(f"{project.explorer.resolve().as_uri()}#view={view}")
        page.wait_for_selector(f"#views a[aria-current]:text-is('{title}')", state="attached")
        ends = page.evaluate("[...document.querySelectorAll('table, svg')].map((e) => e.getBoundingClientRect().right)")
        assert all(end <= PAPER for end in ends), view
        assert page.locator("main .bar button:visible, td button:visible, nav:visible, #bounds:visible").count() == 0
    assert "ramer" in page.locator("label:has(#a)").inner_text()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.goto(project.explorer.resolve().as_uri())
    page.pdf(path=tmp_path / "clips.pdf", prefer_css_page_size=True)
    told = [said_of_pdf(name, tmp_path / "clips.pdf") for name in ("pdfinfo", "pdftotext")]
    assert re.search(r"Page size: +84[12][.\d]* x 59[45][.\d]* pts \(A4\)", told[0])
    pages = told[1].split("\f")[:-1]
    assert len(pages) > 1
    assert all({"clip", "truth", "avt"} <= set(text.split()) for text in pages)  # each repeats the heads


def test_no_column_of_the_clips_is_cut_at_1280_pixels(browser: Any, project: SimulatedProject) -> None:
    page, complaints = open_page(browser, project)
    widths = "[...document.querySelectorAll('.scroll')].map((shown) => shown.scrollWidth - shown.clientWidth)"
    assert page.evaluate(widths) == [0]
    last = page.locator("table.clips thead th").last
    assert last.inner_text().strip() == "avt"
    box = last.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 1280
    assert not complaints
    page.close()


def test_every_view_opens_without_a_complaint(browser: Any, project: SimulatedProject) -> None:
    for width in (1280, 400):
        for scheme in ("light", "dark"):
            options: dict[str, Any] = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
            page, complaints = open_page(browser, project, **options)
            for name in ("One clip", "Two methods", "Risk", "Map", "Clips"):
                page.get_by_role("link", name=name, exact=True).click()
                assert page.locator("main h2").count() == 1
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{name} at {width}: {wide} pixels too wide"
            assert complaints == []
            page.close()


def test_the_filters_find_what_the_predictions_say(browser: Any, project: SimulatedProject) -> None:
    ramer, zeros = predicted(project, "ramer"), predicted(project, "zero_fill")
    page, _ = open_page(browser, project)
    page.select_option("#a", "ramer")
    page.select_option("#b", "zero_fill")
    page.select_option("#condition", "vt")
    page.select_option("#outcome", "helped")
    helped = (ramer["vt"] == ramer["truth"]) & (zeros["vt"] != zeros["truth"])
    assert count(page) == helped.sum() > 0
    page.select_option("#outcome", "hurt")
    assert count(page) == ((ramer["vt"] != ramer["truth"]) & (zeros["vt"] == zeros["truth"])).sum() > 0
    page.select_option("#outcome", "")
    page.select_option("#flips", "v")
    flips = ramer["vt"] != ramer["t"]
    assert count(page) == flips.sum() > 0
    page.select_option("#class", "happy")
    assert count(page) == (flips & (ramer["truth"] == "happy")).sum() > 0
    page.click("#reset")
    page.select_option("#lacks", "text")
    assert count(page) == 1
    assert page.locator("tbody a").first.inner_text() == "clip0005"
    page.select_option("#lacks", "")
    page.select_option("#speaker", "speaker03")
    assert count(page) == 12


def test_a_link_opens_the_same_view(browser: Any, project: SimulatedProject) -> None:
    first, _ = open_page(browser, project)
    first.select_option("#b", "zero_fill")
    first.select_option("#condition", "at")
    first.select_option("#flips", "any")
    first.get_by_role("button", name="truth").click()
    again, complaints = open_page(browser, project, first.evaluate("location.hash"))
    assert again.locator("main").inner_text() == first.locator("main").inner_text()
    assert again.locator("th[aria-sort]").inner_text().startswith("truth")
    assert again.inner_text("#left-out") == ""
    assert complaints == []


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("view=none", "view “none”"),
        ("a=nobody", "method “nobody”"),
        ("b=", "method “”"),
        ("condition=xyz", "condition “xyz”"),
        ("bounds=yes", "choice of controls “yes”"),
        ("class=bored", "class “bored”"),
        ("speaker=nobody", "speaker “nobody”"),
        ("lacks=foo", "missing modality “foo”"),
        ("flips=z", "dropped modality “z”"),
        ("outcome=nope", "outcome “nope”"),
        ("clip=gone", "clip “gone”"),
        ("sort=size", "column “size”"),
        ("down=2", "order “2”"),
        ("page=-3", "page “-3”"),
        ("page=4", "page “4”"),
        ("space=smell", "modality “smell”"),
        ("color=mood", "colouring “mood”"),
        ("fold=9", "fold “9”"),
        ("toString=1", "setting “toString”"),
    ],
)
def test_what_a_link_names_and_is_not_here_is_left_out_and_said(
    browser: Any, project: SimulatedProject, named: str, words: str
) -> None:
    page, complaints = open_page(browser, project, f"#{named}")
    assert page.inner_text("[role=status]") == f"This link names the {words}, which is not here: it is left out."
    assert page.locator("[role=status]").is_visible()
    assert count(page) == 144
    assert (
        page.evaluate("[...document.querySelectorAll('select')].filter((s) => !s.selectedOptions.length).length") == 0
    )
    page.select_option("#class", "sad")
    assert page.inner_text("[role=status]") == ""
    assert complaints == []
    page.close()


def test_one_line_says_all_that_a_link_names_in_vain(browser: Any, project: SimulatedProject) -> None:
    page, _ = open_page(browser, project, f"#view=clip&clip={'x' * 200}&speaker=nobody&class=sad&page=2")
    told = page.inner_text("[role=status]")
    assert told == (
        f"This link names the speaker “nobody”, the clip “{'x' * 59}…” and the page “2”, which are not here: "
        "they are left out."
    )
    assert "truth: sad" in page.inner_text("main")
    page.close()


def test_links_of_the_page_itself_fit_it(browser: Any, project: SimulatedProject) -> None:
    page, _ = open_page(browser, project, "#page=3")
    page.get_by_role("link", name="Two methods", exact=True).click()
    page.locator("main table").nth(1).locator("a").first.click()
    page.wait_for_selector("#count")
    assert page.inner_text("[role=status]") == ""


def test_the_selection_is_a_table_to_take_away(browser: Any, project: SimulatedProject, tmp_path: Path) -> None:
    page, _ = open_page(browser, project, "#class=sad&b=zero_fill")
    with page.expect_download() as waiting:
        page.click("#csv")
    waiting.value.save_as(tmp_path / "clips.csv")
    lines = list(csv.DictReader((tmp_path / "clips.csv").read_text("utf-8").splitlines()))
    ramer = predicted(project, "ramer")
    assert len(lines) == count(page) == (ramer["truth"] == "sad").sum()
    for line in lines:
        assert line["truth"] == "sad"
        assert line["ramer/av"] == ramer.loc[line["id"], "av"]


def test_a_clip_shows_who_lent_beside_the_shuffled_control(browser: Any, project: SimulatedProject) -> None:
    page, _ = open_page(browser, project, "#view=clip&clip=clip0003&condition=a")
    text = page.locator("main").inner_text()
    assert "clip0100" in text
    assert "clip0101" in text
    assert "ramer_shuffled: shuffled or random control" in text
    assert "0.87" in text
    widths = page.evaluate(
        "[...document.querySelectorAll('.chances i')].map((bar) => bar.getBoundingClientRect().width)"
    )
    assert len({round(w) for w in widths}) > 3


def test_prior_and_oracle_are_hidden_until_asked_for(browser: Any, project: SimulatedProject) -> None:
    page, _ = open_page(browser, project, "#view=clip")
    assert "oracle" not in page.locator("main").inner_text()
    page.check("#bounds")
    shown = page.locator("main").inner_text()
    assert "oracle" in shown
    assert "prior" in shown


def test_two_methods_differ_as_counted(browser: Any, project: SimulatedProject) -> None:
    ramer, zeros = predicted(project, "ramer"), predicted(project, "zero_fill")
    page, _ = open_page(browser, project, "#view=versus&a=ramer&b=zero_fill")
    cells = page.locator("main table").nth(1).locator("tbody tr").first.locator("td")
    only = ((ramer["a"] == ramer["truth"]) & (zeros["a"] != zeros["truth"])).sum()
    assert f"A {only} · " in cells.nth(1).inner_text()
    assert "The difference counts every seed's answers" in page.inner_text("main")
    tables = {n: read_table(project.method_results(n) / "predictions.parquet") for n in ("ramer", "zero_fill")}
    share = {}
    for name, table in tables.items():
        rows = table[table["condition"] == "a"]
        share[name] = float((rows["label"] == rows["predicted"]).mean())
    shown = cells.nth(1).inner_text().split()[0].replace("−", "-")
    assert float(shown) == pytest.approx(100 * (share["ramer"] - share["zero_fill"]), abs=0.06)
    cells.nth(1).get_by_role("link", name=f"A {only}").click()
    page.wait_for_selector("#count")
    assert count(page) == only


def test_the_keyboard_is_enough(browser: Any, project: SimulatedProject) -> None:
    page, _ = open_page(browser, project, "#view=clip&clip=clip0003")
    page.locator("body").press("ArrowRight")
    assert page.locator("main h2").inner_text() == "clip0004"
    page.locator("body").press("ArrowLeft")
    assert page.locator("main h2").inner_text() == "clip0003"
    page.goto(project.explorer.resolve().as_uri())
    seen = []
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert seen[:4] == ["a", "b", "condition", "bounds"]
    assert {"class", "outcome", "reset", "Clips", "Map"} <= set(seen)
    page.get_by_role("button", name="truth").focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort]").inner_text().startswith("truth")
    assert page.evaluate("document.activeElement.textContent").startswith("truth")


def test_risk_and_map_draw_what_is_there(browser: Any, project: SimulatedProject) -> None:
    page, _ = open_page(browser, project, "#view=risk&a=ramer&b=late_product&condition=avt")
    assert page.locator("svg path.curve").count() == 2
    ramer = predicted(project, "ramer")
    wrong = 100 * (ramer["avt"] != ramer["truth"]).mean()
    line = page.locator("tbody tr").filter(has_text="avt").first.locator("td").nth(1).inner_text()
    assert float(line.split()[0]) == pytest.approx(wrong, abs=0.06)
    page.get_by_role("link", name="Map", exact=True).click()
    assert "there is no map" in page.locator("main").inner_text()
