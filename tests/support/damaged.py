"""Damaged arrays, one for each way in which reading them used to end with a traceback."""

from __future__ import annotations

import zipfile
from pathlib import Path


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n" + bytes(64)


def _shape(shape: str) -> bytes:
    return _header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}")


DAMAGED: dict[str, bytes] = {
    "an archive that is cut off": b"PK\x03\x04 and no more",
    "a bracket that is not closed": _shape("(3, 4"),
    "more than any memory": _shape("(1000000000000000,)"),
    "more than any number": _shape("(99999999999999999999999999,)"),
    "keys of two kinds": _header("{1: 2, 'a': 3}"),
    "a type of nothing": _header("{'descr': ('<f8',), 'fortran_order': False, 'shape': (1,)}"),
    "lines out of step": _header("    x\n  y"),
    "nothing": b"",
}


def damaged_npz(path: Path, member: str, content: bytes) -> Path:
    """An archive that is whole, of which one array is not."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{member}.npy", content)
    return path
