from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.simulated import METHODS, SimulatedProject


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., SimulatedProject]:
    def make(
        methods: dict[str, tuple[str, bool, bool, float]] = METHODS, seeds: int = 3, speakers: int = 20
    ) -> SimulatedProject:
        return SimulatedProject(tmp_path, methods, seeds, speakers)

    return make


@pytest.fixture
def words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out: drawing takes seconds, and the test is about the words."""
    monkeypatch.setattr("ramer.reporting.comparison.draw_figures", lambda *_: {})
