"""Arrays that somebody else wrote: everything that a damaged ``.npy`` or ``.npz`` file raises, in one place."""

from __future__ import annotations

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

# A header is Python source and a zip archive a program's worth of formats, so damage surfaces as almost anything:
# a bracket that is not closed as TokenError, a shape beyond all memory as MemoryError, a mangled key as TypeError.
UNREADABLE: tuple[type[Exception], ...] = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_array(path: Path) -> np.ndarray:
    """The array of an ``.npy`` file; nothing is unpickled.

    Raises:
        ValueError: not there, damaged, or anything but one plain array; the caller names the file.
    """
    try:
        with path.open("rb") as stream:  # not np.load, which also opens archives and offers to unpickle
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(f"not a whole .npy file: {damage(error)}") from None
    return array


def read_arrays(path: Path, keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of ``keys`` that an ``.npz`` file holds; nothing is unpickled, and no other key is read.

    Raises:
        ValueError: not there, damaged, or a key holds anything but a plain array; the caller names the file.
    """
    arrays: dict[str, np.ndarray] = {}
    where = ""
    try:
        with path.open("rb") as stream:  # numpy would leave a damaged file open
            if not zipfile.is_zipfile(stream):  # numpy would take it for a pickle and suggest to load it unsafely
                raise ValueError("not a zip archive of arrays")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                for key in keys:
                    if key in file.files:
                        where = f"{key}: "
                        arrays[key] = _array(file[key])
    except UNREADABLE as error:
        raise ValueError(f"{where}{damage(error)}") from None
    return arrays


def _array(value: object) -> np.ndarray:
    if not isinstance(value, np.ndarray):  # the bytes of a member that does not even begin as an array
        raise ValueError("not an array")
    return value


def damage(error: Exception) -> str:
    """What one of ``UNREADABLE`` says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
