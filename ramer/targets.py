"""Where something is written: at the end of links, and what is neither a file nor absent is never replaced."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ramer.errors import RamerError

_LONGEST_NAME = 255 - len("12345678.old")  # bytes, as most file systems have it, less what a folder's name gets
_KEPT_OF_NAME = 140  # of a name that is too long once it says who is writing
_SHOWN = 3
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
CUT = "~cut"  # behind what is kept of it


def file_target(path: str | Path) -> Path:
    """The file that writing to ``path`` replaces or makes: at the end of the links, if it is one.

    Raises:
        OSError: no name of a file, or there is a folder, device, pipe or socket.
    """
    given = Path(path)
    if given.name in ("", ".."):
        raise OSError(errno.EISDIR, "no name of a file, expected one", str(path))
    return _target(given, stat.S_ISREG, "expected a file")


def folder_target(path: str | Path) -> Path:
    """The folder that writing to ``path`` replaces or makes: at the end of the links, if it is one.

    Raises:
        OSError: no name of a folder, or there is something else.
    """
    given = Path(path).absolute()
    if given.name in ("", ".."):
        raise OSError(errno.EINVAL, "no name of a folder, expected one", str(path))
    return _target(given, stat.S_ISDIR, "expected a folder")


def holds_earlier(folder: Path, marker: str, what: str) -> bool:
    """Whether a folder holds what was written there before, and may be replaced; False if nothing is there.

    Args:
        marker: name of the file that tells it. what: it is, in words that go with *an*.

    Raises:
        RamerError: it holds something else.
        OSError: it is no folder.
    """
    if not folder_target(folder).exists() or not any(folder.iterdir()):
        return False
    if not (folder / marker).is_file():
        raise RamerError(f"{folder}: holds something else than an {what}, which alone would be replaced")
    return True


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[None]:
    """While it is read what a folder says of itself, which is to be replaced: a fault says what to do about that."""
    try:
        yield
    except RamerError as error:
        way = f"remove {folder}, or choose another folder"
        raise error.reworded(lambda fault: f"{fault.removesuffix('; make it again')}; {way}") from None


def refuse_others(folder: Path, ours: Collection[str], what: str) -> None:
    """Refuse to replace a folder in which lies what whoever wrote it did not write.

    Args:
        ours: paths below it that were written. what: is replaced, in words.

    Raises:
        RamerError: one line, which names some of the others.
    """
    others = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and path.relative_to(folder).as_posix() not in ours
    )
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        raise RamerError(
            f"{folder}: holds {', '.join(others[:_SHOWN])}{more}, no part of {what}, which alone would be replaced"
        )


def is_stream(path: Path) -> bool:
    """Whether a path is that of a pipe, a terminal or the null device, which are written into."""
    mode = _mode(path)
    return mode is not None and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode))


def hidden_name(name: str, owner: str, ending: str) -> str:
    """Name of what is written beside a file or folder until it takes that name.

    Example:
        >>> hidden_name("out.csv", "12@host", "tmp")
        '.out.csv.12@host.tmp'
    """
    whole = f".{name}.{owner}.{ending}"
    if len(os.fsencode(whole)) <= _LONGEST_NAME:
        return whole
    return f".{os.fsencode(name)[:_KEPT_OF_NAME].decode(errors='ignore')}{CUT}.{owner}.{ending}"


def _target(given: Path, wanted: Callable[[int], bool], expected: str) -> Path:
    mode = _mode(given)
    if mode is not None and not wanted(mode):
        raise OSError(errno.EINVAL, f"{_kind(mode)} is there, which is not replaced; {expected}", str(given))
    if mode is not None and stat.S_ISREG(mode) and any(_is_open_as(given, descriptor) for descriptor in (1, 2)):
        raise OSError(errno.EINVAL, "what is printed goes there already; expected another file", str(given))
    # What nobody may write, as an object of DVC's cache, is not written through a link: the link gives way.
    followed = given.is_symlink() and (mode is None or mode & _WRITABLE)
    return Path(os.path.realpath(given)) if followed else given


def _is_open_as(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _mode(path: Path) -> int | None:
    """What kind of thing is at the end of the links; None if nothing is."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a file" if stat.S_ISREG(mode) else "a device, pipe or socket"
