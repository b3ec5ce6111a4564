"""What a folder holds, to the byte."""

from __future__ import annotations

from pathlib import Path


def contents(folder: Path, *names: str) -> dict[str, bytes]:
    """Every file below ``names`` of a folder; what is temporary begins with a dot."""
    found = {}
    for name in names:
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found
