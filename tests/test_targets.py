"""Where a file or folder is written to: a link stays, and what is neither a file nor absent stays what it is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ramer.errors import in_one_line
from ramer.files import atomic_directory, atomic_file, sweep


def write(path: Path, text: str = "new") -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text)


def write_folder(path: Path, text: str = "new") -> None:
    with atomic_directory(path) as temporary:
        (temporary / "held").write_text(text)


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "kept").mkdir()
    for name, target in (("link.csv", "real.csv"), ("dangling", "kept/absent.csv")):
        (tmp_path / name).symlink_to(target)
        write(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / target).read_text() == "new"


def test_what_nobody_may_write_is_not_written_through_a_link(tmp_path: Path) -> None:
    """As an object of DVC's cache is, where ``cache.type`` is symlink."""
    (tmp_path / "cached").write_text("old")
    (tmp_path / "cached").chmod(0o444)
    (tmp_path / "out.csv").symlink_to("cached")
    write(tmp_path / "out.csv")
    assert (tmp_path / "cached").read_text() == "old"
    assert not (tmp_path / "out.csv").is_symlink()
    assert (tmp_path / "out.csv").read_text() == "new"


def test_where_is_printed_to_is_not_replaced(tmp_path: Path) -> None:
    for given in ("all.csv", "/dev/stdout"):
        (tmp_path / "all.csv").write_text("kept\n")
        told = f"from ramer.files import atomic_file\nwith atomic_file({given!r}) as temporary: pass"
        with (tmp_path / "all.csv").open("a") as printed:
            ended = subprocess.run([sys.executable, "-c", told], cwd=tmp_path, stdout=printed, stderr=subprocess.PIPE)
        assert b"what is printed goes there already" in ended.stderr
        assert (tmp_path / "all.csv").read_text() == "kept\n"


def test_a_link_to_a_folder_stays_and_the_folder_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "before").write_text("old")
    for name, target in (("link", "real"), ("dangling", "absent")):
        (tmp_path / name).symlink_to(target)
        write_folder(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert [path.name for path in (tmp_path / target).iterdir()] == ["held"]


def test_a_pipe_or_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="which is not replaced; expected a file"):
            write(tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="a file is there, which is not replaced; expected a folder"):
        write_folder(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["", ".", "/", ".."])
def test_a_file_has_a_name(name: str) -> None:
    with pytest.raises(OSError, match="no name of a file, expected one") as caught:
        write(Path(name))
    assert in_one_line(caught.value).endswith(": no name of a file, expected one")


@pytest.mark.parametrize("name", ["n" * 250, "字" * 84])
def test_a_name_may_be_as_long_as_the_file_system_has_it(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    (tmp_path / name).unlink()
    write_folder(tmp_path / name)
    write_folder(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    sweep(tmp_path)


def test_a_name_that_is_too_long_is_said_as_it_was_given(tmp_path: Path) -> None:
    for make in (write, write_folder):
        with pytest.raises(OSError, match="too long") as caught:
            make(tmp_path / ("n" * 256))
        assert caught.value.filename == str(tmp_path / ("n" * 256))


def test_the_way_to_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("file/below")
    for make in (write, write_folder):
        with pytest.raises(OSError, match=r"exists|directory") as caught:
            make(tmp_path / "dangling")
        assert f".{os.getpid()}@" not in in_one_line(caught.value)
