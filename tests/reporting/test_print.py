"""The page on paper and on a phone, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import FAINT, chromium, said_of_pdf
from tests.support.simulated import METHODS, SimulatedProject

pytestmark = pytest.mark.slow
LONG = {f"{name}_with_a_long_name": kind for name, kind in METHODS.items()}
A4_WIDTH = 703  # pixels between the margins: 186 mm
SMALLEST_LETTER = 8.5  # points in a figure, by its style


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from chromium()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SimulatedProject:
    made = SimulatedProject(tmp_path_factory.mktemp("printed"), METHODS | LONG, 3, 20)
    made.run()
    return made


def test_no_column_is_cut_on_a4(browser: Any, project: SimulatedProject, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": A4_WIDTH, "height": 1000})
    page.emulate_media(media="print")
    page.goto(project.report.resolve().as_uri())
    wide = page.evaluate(
        "[...document.querySelectorAll('table, figure img')].map((e) => [e.getBoundingClientRect().right, e])"
        ".filter(([right]) => right > innerWidth + 1).map(([right, e]) => `${e.closest('section').id} ${right}`)"
    )
    assert wide == []
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    said = said_of_pdf("pdfinfo", tmp_path / "report.pdf")
    assert re.search(r"Page size: +59[45][.\d]* x 84[12][.\d]* pts \(A4\)", said)
    text = said_of_pdf("pdftotext", tmp_path / "report.pdf", "-layout")
    heads = [line.split() for line in text.splitlines() if line.split()[:2] == ["method", "avg6"]]
    assert ["method", "avg6", "avt", "a", "v", "t", "av", "at", "vt"] in heads
    assert ["method", "avg6", "p", "avt", "a", "v", "t", "av", "at", "vt"] in heads


def test_figures_can_be_read_on_a_phone(browser: Any, project: SimulatedProject) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(project.report.resolve().as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    scales = page.evaluate("[...document.images].map((i) => [i.alt, i.clientWidth, i.naturalWidth])")
    assert len(scales) >= 8
    for name, shown, natural in scales:
        letter = SMALLEST_LETTER * 200 / 72 * shown / natural  # pixels on the screen
        assert letter >= 8.5, f"{name}: letters of {letter:.1f} pixels"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_can_be_read_heard_and_reached(browser: Any, project: SimulatedProject, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    page.goto(project.report.resolve().as_uri())
    assert page.evaluate(FAINT) == []
    named = "(table) => table.caption ?? document.getElementById(table.getAttribute('aria-labelledby'))"
    assert page.evaluate(f"[...document.querySelectorAll('table')].filter((t) => !({named})(t)).length") == 0
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size") == page.evaluate(
        "document.querySelectorAll('[id]').length"
    )
    assert page.evaluate("[...document.querySelectorAll('th:not([scope]), img:not([alt])')].length") == 0
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every((e) => e.tabIndex === 0)")  # by arrow keys
    levels = [
        int(name[1]) for name in page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(h => h.tagName)")
    ]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    page.close()
