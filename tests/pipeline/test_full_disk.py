"""A disk that is full, a limit that is reached: one line, and what was there before stays."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ramer.array_files import map_new_array, write_tensors
from ramer.errors import in_one_line
from ramer.files import atomic_file, digest_file, write_json, write_table
from tests.support.disks import fill, small_disk
from tests.support.stages import STAGES, start_stage

_NUMBERS = np.random.default_rng(0).random((1000, 100)).astype(np.float32)


def _map(path: Path) -> None:
    with atomic_file(path) as temporary:
        map_new_array(temporary, np.float32, _NUMBERS.shape)[:] = _NUMBERS


def _save(path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.save(file, _NUMBERS)


WRITERS = {
    "json": lambda path: write_json(path, _NUMBERS),
    "table": lambda path: write_table(path, pd.DataFrame(_NUMBERS, columns=[str(i) for i in range(100)])),
    "tensors": lambda path: write_tensors(path, {"a": _NUMBERS}, {}),
    "mapped": _map,
    "array": _save,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_does_not_fit_is_one_line_and_leaves_the_old_one(tmp_path: Path, kind: str) -> None:
    with small_disk(tmp_path / "small", 1_000_000):
        path = tmp_path / "small" / "file"
        path.write_text("old", "utf-8")
        fill(tmp_path / "small", 100_000)
        with pytest.raises(OSError, match=r"No space left|requested and|error writing|Error writing") as caught:
            WRITERS[kind](path)
        line = in_one_line(caught.value)
        assert "\n" not in line
        assert line.endswith("; free some space and run it again")
        assert path.read_text("utf-8") == "old"
        assert {p.name for p in path.parent.iterdir()} == {"file", "filler"}


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EMFILE, "Too many open files; raise the limit with `ulimit -n`"),
        (errno.EROFS, "Read-only file system; choose a folder that can be written"),
        (errno.EACCES, "Permission denied; change who may use it, or choose another folder"),
        (errno.EDQUOT, "Disk quota exceeded; free some space and run it again"),
    ],
)
def test_what_the_system_refuses_is_told_with_what_to_do(number: int, said: str) -> None:
    assert in_one_line(OSError(number, os.strerror(number), "models/x")) == f"models/x: {said}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("want", "said"),
    [
        (("files", 1), "Too many open files; raise the limit with `ulimit -n`"),
        (("files", 3), "Too many open files; raise the limit with `ulimit -n`"),  # enough to load programs, not data
        (("quota", 0), "Disk quota exceeded; free some space and run it again"),
    ],
)
@pytest.mark.parametrize("stage", ["dump audio", "train ramer", "evaluate ramer"])
def test_a_stage_in_want_of_files_says_one_line(
    served: Path, tmp_path: Path, stage: str, want: tuple[str, int], said: str
) -> None:
    project = shutil.copytree(served, tmp_path / "project")
    before = _contents(project)
    _, errors = start_stage(project, stage, want=want).communicate(timeout=300)
    assert errors.strip().splitlines()[-1].startswith("error: "), errors
    assert errors.strip().endswith(said)
    assert "Traceback" not in errors
    assert "torn" not in errors
    assert _contents(project) == before


def _contents(project: Path) -> dict[str, str]:
    files = (path for path in project.rglob("*") if path.is_file() and path.name != "filler")
    return {path.relative_to(project).as_posix(): digest_file(path) for path in files}


@pytest.mark.slow
def test_every_stage_on_a_full_disk_says_one_line_and_leaves_what_was_there(served: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 200_000_000):
        project = tmp_path / "small" / "project"
        shutil.copytree(served, project)
        before = _contents(project)
        fill(project, 16_000)
        for stage in STAGES:
            process = start_stage(project, stage)
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 2, (stage, errors)
            line = errors.strip().splitlines()[-1]
            assert line.startswith("error: "), (stage, errors)
            assert "free some space" in line, (stage, errors)
            assert "Traceback" not in errors, (stage, errors)
            assert _contents(project) == before, stage
