"""What the system refuses while a database grows is one line, and the model is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ramer import Predictor
from ramer.serving.modelfiles import export_model
from tests.support.commands import refused
from tests.support.disks import make_read_only, small_disk
from tests.support.scarce import in_want_of
from tests.support.served_project import raw_features, rows_of, save_npz
from tests.support.tracked import start

ROOT = Path(__file__).resolve().parents[2]
PAGE = 4096
NOBODY = 65534


@pytest.fixture(scope="module")
def exported(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("exported") / "model"
    export_model(served, model, "rebuilt")
    return model


@pytest.fixture
def clips(served: Path, tmp_path: Path) -> Path:
    return save_npz(tmp_path / "clips.npz", served, rows_of(served)[:8], ids=np.array([f"new{i}" for i in range(8)]))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def occupied(folder: Path) -> int:
    """Bytes that a folder takes on a disk of pages, as ``tmpfs`` is."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE if path.is_file() else 0 for path in folder.rglob("*"))


def added(model: Path, clips: Path, *, before: str = "") -> tuple[int, list[str]]:
    """``ramer database add`` in a process of its own, which a bus error would end: exit code and its complaints."""
    add = ["database", "add", "--features", str(clips), "--model", str(model)]
    code = f"{before}\nfrom ramer.cli import app\napp({add!r})"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return ran.returncode, ran.stderr.splitlines()


def grown_by(exported: Path, clips: Path, tmp_path: Path) -> int:
    """Bytes that an addition writes beside what is there."""
    grown = shutil.copytree(exported, tmp_path / "grown")
    assert added(grown, clips) == (0, [])
    return occupied(grown) - occupied(exported)


def test_a_full_disk_is_one_line_and_leaves_the_model_as_it_was(
    served: Path, exported: Path, clips: Path, tmp_path: Path
) -> None:
    before, needed = contents(exported), grown_by(exported, clips, tmp_path)
    asked = raw_features(served, rows_of(served), "a")
    expected = Predictor.load(exported).predict(asked).probabilities
    with small_disk(tmp_path / "disk", occupied(exported) + needed + 64 * PAGE) as disk:
        model, filler = shutil.copytree(exported, disk / "model"), disk / "filler"
        free = os.statvfs(disk).f_bavail * PAGE
        refusals = set()
        for share in (0.0, 0.1, 0.3, 0.6, 0.95):  # of what is needed
            filler.write_bytes(bytes(free - int(share * needed) // PAGE * PAGE))
            code, said = added(model, clips)
            assert (code, len(said)) == (2, 1), said
            assert said[0].startswith(f"error: {model}/")
            assert "No space left on device" in said[0]
            refusals.add(said[0].split(": ")[1].rsplit("/", 1)[-1])
            filler.unlink()
            assert contents(model) == before
            assert sorted(os.listdir(model)) == sorted(os.listdir(exported))
        assert len(refusals) > 2  # different files were the first that did not fit
        np.testing.assert_array_equal(Predictor.load(model).predict(asked).probabilities, expected)
        assert added(model, clips) == (0, [])


def test_an_export_that_does_not_fit_is_one_line_and_leaves_nothing(
    served: Path, exported: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", occupied(exported) // PAGE * PAGE) as disk:
        for share in (0.1, 0.5, 0.9):
            filler = disk / "filler"
            filler.write_bytes(bytes(int((1 - share) * occupied(exported)) // PAGE * PAGE))
            line = refused("export", disk / "model", "--project", served, "--method", "rebuilt")
            assert line.startswith(f"{disk}/model/")
            assert "No space left on device" in line
            assert os.listdir(disk) == ["filler"]
            filler.unlink()


def test_a_disk_that_cannot_be_written_is_one_line(exported: Path, clips: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 * occupied(exported)) as disk:
        model = shutil.copytree(exported, disk / "model")
        make_read_only(disk)
        code, said = added(model, clips)
        assert (code, len(said)) == (2, 1), said
        assert said[0].startswith(f"error: {model}/database.1: Read-only file system")
        assert contents(model) == contents(exported)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_model_of_somebody_else_is_one_line(exported: Path, clips: Path, tmp_path: Path) -> None:
    """As nobody, who may read it."""
    folder = Path("/tmp") / f"ramer-{os.getpid()}-of-somebody-else"
    try:
        model = shutil.copytree(exported, folder / "model")
        copied = shutil.copy(clips, folder)
        # Loaded before, for a virtual environment need not be readable for nobody.
        become = (
            "import encodings.cp437, os, ramer.cli, ramer.serving.additions, ramer.serving.registered\n"
            f"os.setgid({NOBODY}); os.setuid({NOBODY})"
        )
        code, said = added(model, Path(copied), before=become)
        assert (code, len(said)) == (2, 1), said
        assert said[0].startswith(f"error: {model}/database.1: Permission denied")
        assert contents(model) == contents(exported)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("want", "said"),
    [
        (("files", 1), "Too many open files; raise the limit"),
        (("files", 3), "Too many open files; raise the limit"),
        (("quota", 0), "Disk quota exceeded; free some space"),
    ],
)
@pytest.mark.parametrize("command", ["database add", "export", "predict"])
def test_a_command_in_want_of_files_says_one_line(
    served: Path, exported: Path, clips: Path, tmp_path: Path, command: str, want: tuple[str, int], said: str
) -> None:
    model = shutil.copytree(exported, tmp_path / "model")
    out, before = tmp_path / "out", contents(exported)
    line = {
        "database add": ("database", "add", "--features", str(clips), "--model", str(model)),
        "export": ("export", str(out), "--project", str(served), "--method", "rebuilt"),
        "predict": ("predict", str(clips), "--model", str(model), "--output", str(out)),
    }[command]
    process = start(tmp_path, {"PYTHONDONTWRITEBYTECODE": "1"}, *in_want_of(*want, "-m", "ramer.cli", *line))
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 2, errors
    (told,) = errors.strip().splitlines()
    assert said in told
    assert contents(model) == before
    assert not out.exists()
