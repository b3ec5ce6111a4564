"""The table of a retrieval database: written in blocks, appended to, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ramer.errors import ModelError
from ramer.files import digest_file, read_table
from ramer.modalities import MODALITIES
from ramer.serving import database as database_module
from ramer.serving.database import DatabaseTable, append_database, read_database, write_database

REPLICATES = ("fold0_seed0", "fold0_seed1")
DIMS = {"audio": 3, "video": 2}


def table(rows: int, seed: int = 0, hidden: int = 4) -> DatabaseTable:
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array(["calm", "glad", None], dtype=object), (len(REPLICATES), rows))
    return DatabaseTable(
        REPLICATES,
        np.arange(rows) * 2,
        np.array([f"clip{i}" for i in range(rows)], dtype=object),
        labels,
        rng.random((len(REPLICATES), rows)) < 0.8,
        rng.random((rows, len(MODALITIES))) < 0.5,
        {m: rng.normal(size=(len(REPLICATES), rows, hidden)).astype(np.float32) for m in MODALITIES},
        {m: rng.normal(size=(1, rows, dim)).astype(np.float32) for m, dim in DIMS.items()},
    )


def part(whole: DatabaseTable, kept: np.ndarray) -> DatabaseTable:
    states, features = ({m: a[:, kept] for m, a in kind.items()} for kind in (whole.states, whole.features))
    rows, ids, labels = whole.rows[kept], whole.ids[kept], whole.labels[:, kept]
    members, available = whole.members[:, kept], whole.available[kept]
    return DatabaseTable(whole.replicates, rows, ids, labels, members, available, states, features)


def assert_same(one: DatabaseTable, two: DatabaseTable) -> None:
    for name in ("rows", "ids", "labels", "members", "available"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.arrays.keys() == two.arrays.keys()
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, two.arrays[name])


def test_what_is_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BLOCK", 7)
    whole, kept = table(40), np.arange(0, 40, 3)
    write_database(tmp_path / "some", whole, kept)
    assert_same(read_database(tmp_path / "some", REPLICATES, DIMS), part(whole, kept))
    for name, array in whole.arrays.items():
        np.save(tmp_path / name, array[:, kept])
        assert digest_file(tmp_path / name) == digest_file(tmp_path / "some" / name)


def test_a_table_that_has_grown_is_one_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BLOCK", 7)
    whole, every = table(40), np.arange(40)
    write_database(tmp_path / "whole", whole, every)
    append_database(tmp_path / "grown", part(whole, every[:25]), part(whole, every[25:]))
    for name in whole.arrays:
        assert digest_file(tmp_path / "grown" / name) == digest_file(tmp_path / "whole" / name)
    assert read_table(tmp_path / "grown/rows.parquet").equals(read_table(tmp_path / "whole/rows.parquet"))


def test_the_first_and_the_last_clip_that_a_database_gets(tmp_path: Path) -> None:
    whole, none = table(3), np.zeros(0, dtype=int)
    append_database(tmp_path / "first", part(whole, none), whole)
    assert_same(read_database(tmp_path / "first", REPLICATES, DIMS), whole)
    write_database(tmp_path / "none", whole, none)
    assert len(read_database(tmp_path / "none", REPLICATES, DIMS)) == 0


def test_a_table_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"audio\.npy: expected 2 replicates of 4 numbers a row, got 2 of 5"):
        append_database(tmp_path / "grown", table(3), table(2, hidden=5))
