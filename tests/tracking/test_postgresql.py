"""A store in PostgreSQL: a complete run, two workspaces at a new one, and no password anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ramer.files import read_json
from tests.support.postgresql import postgresql
from tests.support.tracked import Workspace, start
from tests.support.tree import METHODS

pytestmark = pytest.mark.slow


@pytest.fixture
def database() -> Iterator[str]:
    with postgresql() as uri:
        yield uri


def test_two_workspaces_log_to_a_new_database(
    make_workspace: Callable[[str], Workspace], database: str, tmp_path: Path
) -> None:
    workspaces = [make_workspace(name) for name in ("one", "other")]
    settings = {"MLFLOW_TRACKING_URI": database}
    started = [start(w.root, settings | {"DVC_EXP_NAME": w.root.name}) for w in workspaces]
    said = [process.communicate(timeout=500) for process in started]
    assert [read_json(w.receipt)["logged"] for w in workspaces] == [True, True], said
    import psycopg

    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        found = connection.execute("SELECT name, status FROM runs").fetchall()
    assert sorted(found) == sorted((name, "FINISHED") for name in ("one", "other", *METHODS, *METHODS))
    assert "hunter2" not in str(said)
    written = (path for path in tmp_path.rglob("*") if path.is_file())
    assert not [path for path in written if b"hunter2" in path.read_bytes()]
