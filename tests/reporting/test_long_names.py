"""The report and the explorer on a phone, where names are long and cannot be broken at a space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ramer.files import read_json, write_json
from tests.support.browser import chromium
from tests.support.simulated import METHODS, SimulatedProject

pytestmark = pytest.mark.slow
PHONE = 400  # pixels
LONG = "x" * 110
# How much of the room to scroll in its first column takes, which stays while the others move below it.
STICKS = (
    "[...document.querySelectorAll('.scroll')].map((room) => Math.max(0, ...[...room.querySelectorAll('tr')]"
    ".map((row) => row.firstElementChild).filter((cell) => getComputedStyle(cell).position === 'sticky')"
    ".map((cell) => cell.offsetWidth / room.clientWidth)))"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from chromium()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SimulatedProject:
    """A packed corpus: its digest, file, classes, speakers and clips have long names."""
    names = {"ramer": METHODS["ramer"], "zero_fill": METHODS["zero_fill"]}
    kinds = names | {f"{name}_with_a_long_name": kind for name, kind in names.items()}
    made = SimulatedProject(tmp_path_factory.mktemp("long"), kinds, 1, 12, LONG)
    packed = {"kind": "npz", "file": f"{LONG}.npz", "sha256": "0f" * 32}
    write_json(made.corpus, read_json(made.corpus) | {"name": LONG, "provenance": packed, "notes": [LONG]})
    made.run()
    return made


def too_wide(page: Any) -> list[str]:
    """What ends right of the page without a room of its own to scroll in."""
    found = page.evaluate(
        "[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5"
        " && !e.parentElement.closest('.scroll, svg')).map((e) => `${e.tagName} ${e.id || e.textContent.slice(0, 40)}`)"
    )
    wide = page.evaluate("document.documentElement.scrollWidth")
    return [*found, *([f"the page: {wide}"] if wide > PHONE else [])]


def test_the_report_fits_a_phone(browser: Any, project: SimulatedProject) -> None:
    page = browser.new_page(viewport={"width": PHONE, "height": 800})
    page.goto(project.report.resolve().as_uri())
    assert "0f" * 32 in page.inner_text("dl.card")
    assert not too_wide(page), "\n".join(too_wide(page))
    assert not [s for s in page.evaluate(STICKS) if s > 0.65], page.evaluate(STICKS)
    page.close()


@pytest.mark.parametrize("view", ["clips", "clip", "versus", "risk", "map"])
def test_the_explorer_fits_a_phone(browser: Any, project: SimulatedProject, view: str) -> None:
    page = browser.new_page(viewport={"width": PHONE, "height": 800})
    page.goto(f"{project.explorer.resolve().as_uri()}#view={view}&a=ramer_with_a_long_name&speaker={LONG}speaker01")
    page.wait_for_selector("main h2")
    assert LONG in page.inner_text("main") or view in ("risk", "map")
    assert not too_wide(page), "\n".join(too_wide(page))
    assert not [s for s in page.evaluate(STICKS) if s > 0.65], page.evaluate(STICKS)
    page.close()
