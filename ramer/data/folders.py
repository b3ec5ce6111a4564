"""What lies below a folder: links are followed but never in a circle, what is a system's own is passed over."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from ramer.data.names import is_of_the_system


def names_below(folder: Path, leaves: Collection[str] = ()) -> Iterator[str]:
    """Paths below ``folder``, of parts joined by ``/``, in the order of names.

    Args:
        leaves: folders of these names are given as they are, with ``/`` at the end, and not searched.

    Raises:
        OSError: a folder cannot be opened.
    """
    return _below(str(folder), "", leaves, ())


def _below(
    folder: str, below: str, leaves: Collection[str], above: tuple[tuple[int, int], ...]
) -> Iterator[str]:
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        name = below + entry.name
        if is_of_the_system(entry.name):
            continue
        if not entry.is_dir():
            yield name
        elif name in leaves:
            yield f"{name}/"
        else:
            yield from _below(entry.path, f"{name}/", leaves, (*above, here))
