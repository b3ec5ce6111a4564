"""Every attack ends by writing down what became of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.campaign.attacking import Attack, note
from tests.support.stores import copied, make_workspace, new_store, server, server_folder, tracked, workspace  # noqa: F401


@pytest.fixture
def attack() -> Iterator[Callable[..., Attack]]:
    """Begins an attack: what is attacked, tries of a campaign, those of a sample, and minutes at most."""
    begun: list[Attack] = []

    def begin(kind: str, tries: int, sample: int = 1, minutes: float = 3.0) -> Attack:
        begun.append(Attack(kind, tries, sample, minutes))
        return begun[-1]

    yield begin
    for one in begun:
        one.finish()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What could not be attacked, and what broke beside the attempts themselves."""
    if "PYTEST_XDIST_WORKER" in os.environ or report.when == "teardown" or report.passed:
        return
    name = report.nodeid.rsplit("::", 1)[-1].removeprefix("test_").replace("_", " ")
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        note({"skipped": f"{name}: {reason.removeprefix('Skipped: ')}"})
    else:
        note({"broke": f"{name}: {report.longreprtext.strip().splitlines()[-1]}"})
