"""Savepoints themselves: what comes back, when one is written, and disks that are full."""

from __future__ import annotations

import math
import resource
import time
from pathlib import Path

import numpy as np
import pytest

from ramer.errors import ConfigError
from ramer.training.savepoints import INTERVAL_S, NOTHING_KEPT, Saved, Savepoints, open_savepoints
from tests.support.disks import fill, small_disk

SAVED = Saved(
    {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.array(3.0)}, {"loss": [math.nan, -math.inf]}
)


def test_what_was_written_comes_back_with_what_json_lacks(tmp_path: Path) -> None:
    Savepoints("", tmp_path).at("one").write(SAVED)
    read = Savepoints("", tmp_path).at("one").read()
    assert read is not None
    np.testing.assert_array_equal(read.arrays["a"], SAVED.arrays["a"])
    assert read.arrays["step"].reshape(()) == 3.0
    np.testing.assert_array_equal(read.values["loss"], SAVED.values["loss"])
    assert Savepoints("", tmp_path).at("two").read() is None


def test_a_stage_of_seconds_writes_none(tmp_path: Path) -> None:
    new, old = Savepoints("", tmp_path), Savepoints("", tmp_path, started=time.time() - INTERVAL_S - 1)
    assert not new.at("one").due
    assert not new.at("one").worth
    assert old.at("one").worth, "a training that ends after the stage has run for a while"
    assert not NOTHING_KEPT.at("one").worth


def test_a_full_disk_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with small_disk(tmp_path / "small", 1_000_000):
        place = Savepoints("mine", tmp_path / "small" / "kept")
        fill(tmp_path / "small", 10_000)
        big = Saved({"a": np.zeros(100_000)}, {})
        for name in ("one", "one", "two"):
            place.at(name).write(big)
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("no savepoint was written, a run that is killed starts over: ")
        assert "No space left" in line
        assert not list((tmp_path / "small" / "kept").iterdir()), "nothing half written"


def test_one_that_no_file_was_left_to_open_stays(tmp_path: Path) -> None:
    """What could not be opened is not damaged: hours of work were thrown away for a limit of the shell."""
    Savepoints("", tmp_path).at("one").write(SAVED)
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            Savepoints("", tmp_path).at("one").read()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
    assert Savepoints("", tmp_path).at("one").read() is not None


def test_the_place_is_left_after_a_failure_only(tmp_path: Path) -> None:
    folder = tmp_path / "train@mine"
    with pytest.raises(KeyError):
        _fail(folder)
    with open_savepoints("train mine", folder, "recipe") as savepoints:
        assert savepoints.at("one").read() is not None
    assert not folder.exists()


def test_seconds_of_earlier_processes_are_known_as_far_as_their_work_was_saved(tmp_path: Path) -> None:
    folder = tmp_path / "train@mine"
    for _ in range(2):
        with pytest.raises(KeyError):
            _fail(folder, worked=100.0)
    with open_savepoints("train mine", folder, "recipe") as savepoints:
        assert savepoints.before == pytest.approx(200.0, abs=5.0)
    with open_savepoints("train mine", folder, "recipe") as savepoints:
        assert savepoints.before == 0.0


def _fail(folder: Path, worked: float = 0.0) -> None:
    with open_savepoints("train mine", folder, "recipe") as savepoints:
        savepoints.started -= worked
        savepoints.at("one").write(SAVED)
        raise KeyError


def test_an_interval_that_is_no_number_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_SAVEPOINT_SECONDS", "soon")
    with pytest.raises(ConfigError, match="RAMER_SAVEPOINT_SECONDS: expected seconds, 0 or more, got 'soon'"):
        open_savepoints("", tmp_path / "a", "recipe").__enter__()
