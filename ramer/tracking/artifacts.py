"""Files on their way into a run: small ones as they are, large ones as pointers."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ramer.files import write_json

_MEGABYTE = 1_000_000


@contextlib.contextmanager
def staged(files: Mapping[str, Path], root: Path, max_mb: float, remote: Mapping[str, str] | None) -> Iterator[Path]:
    """A temporary directory that holds every file under its name in the run, by symbolic link.

    A file above ``max_mb`` is replaced by ``<name>.pointer.json``: its path in the workspace, its size,
    its MD5 (the name of the file in DVC's cache and remote) and DVC's default remote.
    """
    with tempfile.TemporaryDirectory(prefix="ramer-track-") as folder:
        for name, path in files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            size = path.stat().st_size
            if size <= max_mb * _MEGABYTE:
                target.symlink_to(path.resolve())
                continue
            pointer = {"path": path.relative_to(root).as_posix(), "bytes": size, "md5": _md5(path), "remote": remote}
            write_json(target.with_name(f"{target.name}.pointer.json"), pointer)
        yield Path(folder)


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
