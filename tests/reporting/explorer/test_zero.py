"""What rounds to zero has no sign, in the explorer as in the report."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ramer.config import Evaluate
from ramer.evaluation.predictions import score_predictions
from ramer.evaluation.scenarios import scenarios
from ramer.files import read_table, write_json, write_table
from tests.support.browser import chromium
from tests.support.simulated import LABELS, METHODS, SimulatedProject

pytestmark = pytest.mark.slow
SIGNED_ZERO = re.compile(r"[+−-]0\.0+(?!\d)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from chromium()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SimulatedProject:
    """Two methods that differ in one answer of 2,400 under two conditions: once for and once against the first."""
    kinds = {name: METHODS[name] for name in ("zero_fill", "mean_fill")}
    made = SimulatedProject(tmp_path_factory.mktemp("alike"), kinds, 2, 100)
    table = read_table(made.method_results("zero_fill") / "predictions.parquet")
    right = table["label"] == table["predicted"]
    changed = table.copy()
    for condition, want in (("a", True), ("v", False)):
        row = table.index[(table["condition"] == condition) & (right == want)][0]
        label = str(table.loc[row, "label"])
        changed.loc[row, "predicted"] = next(n for n in LABELS if n != label) if want else label
    folder = made.method_results("mean_fill")
    write_table(folder / "predictions.parquet", changed)
    write_json(folder / "metrics.json", score_predictions(changed, LABELS, 15, scenarios(Evaluate())))
    made.run()
    return made


def test_a_difference_that_rounds_to_zero_has_no_sign(browser: Any, project: SimulatedProject, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    told = set()
    for one, other in (("zero_fill", "mean_fill"), ("mean_fill", "zero_fill")):
        page.goto(f"{project.explorer.resolve().as_uri()}#view=versus&a={one}&b={other}")
        page.wait_for_selector(f"main h2:text-is('{one} against {other}')")
        text = page.inner_text("main")
        assert not SIGNED_ZERO.findall(text)
        assert "0.0" in text
        with page.expect_download() as waiting:
            page.click("#csv")
        waiting.value.save_as(tmp_path / "versus.csv")
        lines = list(csv.DictReader((tmp_path / "versus.csv").read_text("utf-8").splitlines()))
        told |= {line["difference"] for line in lines if line["class"] == "all"}
    assert told == {"0.0004", "0.0000", "-0.0004"}
    page.close()
