"""Every attack ends by writing down what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.campaign.attacking import Attack
from tests.support.stores import make_workspace, new_store, server, server_folder, workspace  # noqa: F401


@pytest.fixture
def attack() -> Iterator[Callable[..., Attack]]:
    """Begins an attack: ``attack("what is attacked", shares=1)``, a share being some seconds."""
    begun: list[Attack] = []

    def begin(kind: str, shares: float = 1.0) -> Attack:
        begun.append(Attack(kind, shares))
        return begun[-1]

    yield begin
    for one in begun:
        one.finish()
