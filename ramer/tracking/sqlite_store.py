"""A SQLite store as a file: made whole or not at all, and a broken one told from one that holds runs."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from alembic.script import ScriptDirectory
from mlflow.store.db import utils as tables

from ramer.errors import RamerError

log = logging.getLogger(__name__)

_SETTLE_SECONDS, _SETTLE_ROUNDS = 2.0, 30
_HOLDS = ("experiments", "runs", "registered_models")


class StoreError(RamerError):
    """The tracking store is unreachable or refuses to work."""


def make_ready(database: Path) -> None:
    """Make the store if there is none; whoever calls holds the lock of the store.

    MLflow makes its tables one by one, and what is interrupted meanwhile can neither be used nor be completed. So a new
    store is built beside its name and moved into place; one that was left half made, which holds nothing, is put aside.

    Raises:
        StoreError: the file is no store, or its tables are those of another version of MLflow.
        OSError, sqlite3.Error: it cannot be read or written.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    for left in database.parent.glob(f".{database.name}.*.new*"):
        left.unlink(missing_ok=True)
    if database.exists() and not _is_whole(database):
        _put_aside(database)
    if not database.exists():
        _build(database)


def _build(database: Path) -> None:
    new = database.with_name(f".{database.name}.{os.getpid()}.new")
    engine = tables.create_sqlalchemy_engine(f"sqlite:///{new}")
    try:
        try:
            tables._initialize_tables(engine)  # what `mlflow db upgrade` calls
        finally:
            engine.dispose()
        with _connection(new) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        with open(new, "rb") as file:
            os.fsync(file.fileno())
        new.replace(database)
    finally:
        for left in new.parent.glob(f"{new.name}*"):
            left.unlink(missing_ok=True)


def _is_whole(database: Path) -> bool:
    """False for a store that was left half made; an older or a newer one, or no store at all, is an error."""
    wanted = _latest_revision()
    found, held = _read(database)
    if found == wanted:
        return True
    # MLflow itself, started beside us, may be making the tables at this moment.
    for _ in range(_SETTLE_ROUNDS):
        if held:
            break
        time.sleep(_SETTLE_SECONDS)
        before, (found, held) = found, _read(database)
        if found == wanted:
            return True
        if found == before:
            return False
    raise StoreError(
        f"{database}: its tables are of another version of MLflow (revision {found or 'unknown'}, this one needs "
        f"{wanted}); copy the file, then run: mlflow db upgrade sqlite:///{database}"
    )


def _latest_revision() -> str | None:
    folder = Path(tables.__file__).parents[1] / "db_migrations"
    return ScriptDirectory(str(folder)).get_current_head()


def _read(database: Path) -> tuple[str | None, bool]:
    """The revision of the tables, and whether they hold anything.

    Raises:
        StoreError: it is no database, or not one of MLflow.
    """
    with _connection(database) as connection:
        try:
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if names and not names & {"alembic_version", *_HOLDS}:
                raise StoreError(f"{database}: holds tables that are none of MLflow's; set another MLFLOW_TRACKING_URI")
            revision = None
            if "alembic_version" in names:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                revision = row[0] if row else None
            held = [name for name in _HOLDS if name in names and _has_rows(connection, name)]
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise StoreError(f"{database}: {error}; restore it, or move it away to begin a new store") from None
    return revision, bool(held)


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


def _put_aside(database: Path) -> None:
    with _connection(database) as connection:  # what is still in its journals goes into the file
        connection.execute("PRAGMA journal_mode=DELETE")
    if not database.stat().st_size:
        database.unlink()
        return
    number = 1
    while (aside := database.with_name(f"{database.name}.broken{number}")).exists():
        number += 1
    database.rename(aside)
    log.warning(
        "warning: %s was left half made and holds nothing: moved to %s, a new one is made", database, aside.name
    )


@contextlib.contextmanager
def _connection(database: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(database, timeout=20)) as connection:
        yield connection
