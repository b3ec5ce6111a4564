"""The documents that benchmarks write are what the kept figures say."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

from benchmarks import _tables, performance
from benchmarks._claims import CLAIMS
from benchmarks._run import report


def test_every_claim_has_its_figures() -> None:
    kept = {file.stem for file in performance.KEPT.glob("*.json")}
    assert {claim.run for claim in CLAIMS} <= kept <= set(performance.RUNS)


@pytest.mark.parametrize("name", sorted(file.stem for file in performance.KEPT.glob("*.json")))
def test_kept_figures_say_how_they_were_made(name: str) -> None:
    kept = json.loads((performance.KEPT / f"{name}.json").read_text("utf-8"))
    assert kept["command"].startswith(f"python -m {performance.RUNS[name]}")
    assert kept["machine"]["cores"] >= 1
    strings = [value for value in kept["settings"].values() if isinstance(value, str)]
    assert not [text for text in (*kept["command"].split(), *strings) if text.startswith("/")]


def test_what_is_reported_does_not_say_where_this_machine_keeps_things(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(argparse.Namespace(before=tmp_path / "before", preset=performance.ROOT / "presets" / "mer2024.txt"), {})
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings == {"before": "../before", "preset": "presets/mer2024.txt"}


def test_the_performance_document_is_that_of_its_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(performance, "DOCUMENT", tmp_path / "performance.md")
    performance.write_document()
    assert (tmp_path / "performance.md").read_text("utf-8") == (performance.ROOT / "docs/performance.md").read_text(
        "utf-8"
    )


def test_what_two_checkouts_took_stands_in_the_document(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = shutil.copytree(performance.KEPT, tmp_path / "kept")
    taken = {"now": {"wall": 1.0, "processor": 1.5}, "before": {"wall": 2.0, "processor": 2.5}}
    result = json.loads((kept / "startup.json").read_text("utf-8"))
    result["figures"] = {"stages": {"dump audio": taken}, "now_to_before": 0.5}
    (kept / "sharing.json").write_text(json.dumps(result), "utf-8")
    monkeypatch.setattr(performance, "KEPT", kept)
    monkeypatch.setattr(performance, "DOCUMENT", tmp_path / "performance.md")
    performance.write_document()
    assert "| dump audio | 2.0 (2.5) | 1.0 (1.5) |" in (tmp_path / "performance.md").read_text("utf-8").splitlines()


def test_the_tables_of_the_results_are_those_of_their_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copies = {page: tmp_path / page.name for page in (_tables.TABLES, _tables.RESEARCH, *_tables.BRIEF_PAGES)}
    for page, copy in copies.items():
        copy.write_text(page.read_text("utf-8"), "utf-8")
    for name in ("TABLES", "RESEARCH"):
        monkeypatch.setattr(_tables, name, copies[getattr(_tables, name)])
    monkeypatch.setattr(_tables, "BRIEF_PAGES", tuple(copies[page] for page in _tables.BRIEF_PAGES))
    _tables.write_tables()
    changed = [page.name for page, copy in copies.items() if copy.read_text("utf-8") != page.read_text("utf-8")]
    assert changed == [], "run `python -m benchmarks.results tables`"
