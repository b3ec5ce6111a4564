"""Files that somebody else wrote: regular ones only are opened, and where links lead is told."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading.

    Raises:
        OSError: absent, not readable, or a folder, pipe, device or socket.
    """
    # Without O_NONBLOCK, opening a pipe waits for whoever writes into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a pipe, device or socket, expected a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def read_regular(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file that holds at most ``most``.

    Raises:
        OSError: as ``open_regular``, or the file is larger.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return content


def outside(path: str | Path, home: str) -> str | None:
    """Where a path really leads, if a symbolic link leads it out of a folder whose real path is ``home``; else None."""
    real = os.path.realpath(path)
    return None if os.path.commonpath((real, home)) == home else real


def links_out(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """The paths below ``folder`` that lead out of it, and where to."""
    home = os.path.realpath(folder)
    found = ((path.relative_to(folder).as_posix(), outside(path, home)) for path in paths)
    return {name: target for name, target in found if target}


def told_links(links: Mapping[str, str]) -> list[str]:
    """A line about links that lead out of a folder and are followed; none where there are none.

    Example:
        >>> told_links({"a.npy": "/store/1f"})
        ["1 link leads out of the folder, 'a.npy' to /store/1f; what it leads to is read"]
    """
    if not links:
        return []
    name, target = next(iter(links.items()))
    if len(links) == 1:
        return [f"1 link leads out of the folder, {name!r} to {target}; what it leads to is read"]
    return [f"{len(links)} links lead out of the folder, such as {name!r} to {target}; what they lead to is read"]
