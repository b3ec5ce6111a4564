"""A disk that is full, or may not be written, while features are made: one line, nothing torn, and a rerun goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ramer.extraction.media import Opened
from ramer.extraction.outcomes import Missing
from tests.support.commands import call
from tests.support.contents import contents
from tests.support.disks import fill, make_read_only, small_disk
from tests.support.scarce import in_want_of
from tests.support.strangers import lock, start_without_powers, take_back
from tests.support.tracked import start

MakeWav = Callable[..., Path]
MakeTone = Callable[..., np.ndarray]
ONLY_SOUND = ("--video", "none", "--text", "none")


@pytest.fixture
def media(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> Path:
    for number in range(12):
        make_wav(tmp_path / "media" / f"clip{number:02}.wav", make_tone(0.5, 200 + 20 * number))
    return tmp_path / "media"


@pytest.fixture
def whole(media: Path, tmp_path: Path) -> dict[str, bytes]:
    assert call("extract", media, tmp_path / "whole", *ONLY_SOUND)[0] == 0
    return contents(tmp_path / "whole", "features")


@pytest.mark.parametrize("free", [0, 12_000, 40_000])
def test_a_full_disk_is_one_line_and_a_rerun_goes_on(
    media: Path, whole: dict[str, bytes], tmp_path: Path, free: int
) -> None:
    with small_disk(tmp_path / "disk", 2_000_000) as disk:
        filler = fill(disk, free)
        code, out, err = call("extract", media, disk / "out", *ONLY_SOUND)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith(f"error: {disk}/out")
        assert "No space left on device" in line
        assert "free some space" in line
        found = contents(disk / "out", "features") if (disk / "out").exists() else {}
        assert found.items() <= whole.items()
        filler.unlink()
        assert call("extract", media, disk / "out", *ONLY_SOUND)[0] == 0
        assert contents(disk / "out", "features") == whole


def test_a_disk_that_cannot_be_written_is_one_line(media: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2_000_000) as disk:
        make_read_only(disk)
        code, _, err = call("extract", media, disk / "out", *ONLY_SOUND)
        assert code == 2
        (line,) = err.splitlines()
        assert "Read-only file system" in line


def test_a_folder_that_nobody_may_write_is_one_line(media: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    lock(tmp_path / "whole")
    command = ("-m", "ramer.cli", "extract", str(media), str(tmp_path / "whole"), *ONLY_SOUND, "--frames")
    process = start_without_powers(tmp_path, *command)
    said = process.communicate(timeout=300)[1]
    take_back(tmp_path / "whole")
    assert process.returncode == 2
    (line,) = said.splitlines()
    assert "Permission denied" in line
    assert contents(tmp_path / "whole", "features") == whole


@pytest.mark.parametrize(
    ("want", "said"),
    [
        (("files", 1), "Too many open files; raise the limit"),
        (("files", 2), "raise the limit with `ulimit -n`"),  # openSMILE says no reason
        (("quota", 0), "Disk quota exceeded; free some space"),
    ],
)
def test_want_of_files_is_one_line_and_a_rerun_goes_on(
    media: Path, whole: dict[str, bytes], tmp_path: Path, want: tuple[str, int], said: str
) -> None:
    """And no clip is noted as one that cannot be read."""
    command = ("-m", "ramer.cli", "extract", str(media), str(tmp_path / "out"), *ONLY_SOUND)
    process = start(tmp_path, {"PYTHONDONTWRITEBYTECODE": "1"}, *in_want_of(*want, *command))
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 2, errors
    assert said in errors.strip().splitlines()[-1], errors
    assert "Traceback" not in errors
    assert call("extract", media, tmp_path / "out", *ONLY_SOUND)[0] == 0
    assert contents(tmp_path / "out", "features") == whole


def test_the_name_of_a_broken_file_says_nothing_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "Too many open files.mp4"
    path.write_bytes(b"no clip")
    with pytest.raises(Missing, match="the file cannot be read"), Opened(path):
        pass
