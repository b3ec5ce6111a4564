"""What lies below a folder: links are followed but never in a circle, what is a system's own is passed over.

Corpora are kept as links into a store of their files, so a link that leads out of the folder is followed, and said.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from ramer.data.names import is_of_the_system
from ramer.opening import outside, told_links


class FolderWalk:
    """Iterates over the paths of files below a folder, of parts joined by ``/``, in the order of names.

    Args:
        folder: that is searched.
        leaves: folders of these names are given as they are, with ``/`` at the end, and not searched.

    Attributes:
        hidden: how many hidden and system files and folders were passed over; complete after the iteration.
        faults: one line per thing that cannot be read, likewise.
        links: what is a symbolic link out of the folder, and where it leads, likewise.
    """

    def __init__(self, folder: Path, leaves: Collection[str] = ()) -> None:
        self.folder = folder
        self.leaves = leaves
        self.hidden = 0
        self.faults: list[str] = []
        self.links: dict[str, str] = {}
        self._home = os.path.realpath(folder)
        self._error: OSError | None = None

    def __iter__(self) -> Iterator[str]:
        return self._below(str(self.folder), "", ())

    @property
    def told(self) -> list[str]:
        """What was passed over and where links lead, a line for each; nothing where there is nothing to say."""
        files = "file" if self.hidden == 1 else "files"
        hidden = [f"{self.hidden} hidden or system {files} passed over"] if self.hidden else []
        return [*hidden, *told_links(self.links)]

    def raise_if_shut(self) -> None:
        """Raise the error of a folder that could not be opened, where there was one."""
        if self._error is not None:
            raise self._error

    def _below(self, folder: str, below: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        try:
            status = os.stat(folder)
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._error = self._error or error
            self.faults.append(f"{below.rstrip('/')!r}: cannot be opened: {error.strerror}; left out")
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            self.faults.append(f"{below.rstrip('/')!r}: a link that leads back to a folder above it; left out")
            return
        for entry in entries:
            name = below + entry.name
            if is_of_the_system(entry.name):
                self.hidden += 1
                continue
            if entry.is_symlink() and (target := outside(entry.path, self._home)):
                self.links[name] = target
            if entry.is_dir():
                if name in self.leaves:
                    yield f"{name}/"
                else:
                    yield from self._below(entry.path, f"{name}/", (*above, here))
            elif entry.is_file():
                yield name
            elif entry.is_symlink():
                self.faults.append(f"{name!r}: a link that leads nowhere; left out")
            else:
                self.faults.append(f"{name!r}: a pipe or a device, expected a file; left out")


def names_below(folder: Path, leaves: Collection[str] = ()) -> Iterator[str]:
    """As ``FolderWalk``.

    Raises:
        OSError: a folder cannot be opened.
    """
    walk = FolderWalk(folder, leaves)
    for name in walk:
        walk.raise_if_shut()
        yield name
    walk.raise_if_shut()
