"""Arrays that somebody else wrote, as ``.npy`` and ``.npz``: read within bounds, and all that a damaged file raises.

What an array says of itself is compared with the bytes that there are before anything is read: memory is that of the
array itself, whatever a header or an archive claims.
"""

from __future__ import annotations

import ast
import lzma
import math
import os
import re
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from ramer.errors import raise_if_scarce
from ramer.opening import open_regular

# A header is Python source and a zip archive a program's worth of formats, so damage surfaces as almost anything:
# a bracket that is not closed as SyntaxError, a shape beyond all memory as MemoryError, a mangled key as TypeError.
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
    zipfile.BadZipFile,
    zlib.error,
)
MOST_BYTES = 1 << 29  # of an array that is read as a whole: one clip's frames, one column of a packed corpus
_LONGEST_HEADER = 10_000  # as numpy has it
_CHUNK = 1 << 20
_SHOWN = 3
_VERSIONS = ((1, 0), (2, 0), (3, 0))
# The letter that Python 2 put behind long numbers.
_PYTHON_2_LONG = re.compile(rb"(?<=[0-9])L(?=[,) ])")


@runtime_checkable
class Stream(Protocol):
    """What is read of a file, or of a member of an archive."""

    def read(self, size: int = -1, /) -> bytes: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class Header:
    """What an array says of itself.

    Attributes:
        shape: of the array. fortran: whether columns lie together. dtype: of an entry.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: Stream) -> Header:
    """The header at the beginning of ``stream``, which is left where the data begin; raises one of ``UNREADABLE``."""
    version = np.lib.format.read_magic(stream)
    if version not in _VERSIONS:
        raise ValueError(f"version {version[0]}.{version[1]} of the format, expected 1.0, 2.0 or 3.0")
    length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"a header of {length:,} bytes, expected at most {_LONGEST_HEADER:,}")
    said = stream.read(length)
    if len(said) < length:
        raise ValueError("ends within its header")
    return _parsed(_PYTHON_2_LONG.sub(b"", said).decode("utf-8" if version == (3, 0) else "latin-1"))


def _parsed(text: str) -> Header:
    """What a header says; numpy reads it, too, but repairs one that is none, with a warning on the terminal."""
    try:
        said = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ValueError("a header that cannot be read") from None
    if not isinstance(said, dict) or said.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("a header without type, order and shape")
    shape, fortran = said["shape"], said["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(axis) is int for axis in shape) or not isinstance(fortran, bool):
        raise ValueError("a shape or an order that is none")
    if any(axis < 0 for axis in shape):
        raise ValueError(f"a shape with a negative length: {list(shape)}")
    try:
        dtype = np.dtype(np.lib.format.descr_to_dtype(said["descr"]))
    except (SyntaxError, ValueError, TypeError, LookupError):
        raise ValueError(f"a type that is none: {str(said['descr'])[:50]!r}") from None
    return Header(shape, fortran, dtype)


def read_array(path: Path) -> np.ndarray:
    """The array of an ``.npy`` file of at most ``MOST_BYTES``; nothing is unpickled.

    Raises:
        ValueError: not there, damaged, or anything but one plain array; the caller names the file.
    """
    try:
        with open_regular(path) as stream:  # not np.load, which also opens archives and offers to unpickle
            header = read_header(stream)
            _check_plain(header, os.fstat(stream.fileno()).st_size - stream.tell(), MOST_BYTES)
            return _shaped(np.fromfile(stream, header.dtype, math.prod(header.shape)), header)
    except UNREADABLE as error:
        raise ValueError(f"not a whole .npy file: {damage(error)}") from None


def _shaped(entries: np.ndarray, header: Header) -> np.ndarray:
    return entries.reshape(header.shape, order="F" if header.fortran else "C")


def entries(path: Path) -> Iterator[np.ndarray]:
    """The entries of an ``.npy`` file along its first axis, one in memory at a time; nothing is unpickled.

    An array that is stored with columns first is read as a whole, and holds at most ``MOST_BYTES``.

    Raises:
        Exception: one of ``UNREADABLE``, also for a single number and for an entry of more than ``MOST_BYTES``.
    """
    with open_regular(path) as stream:
        header = read_header(stream)
        if not header.shape:
            raise ValueError("holds one number, expected an array")
        entry = Header(header.shape[1:], header.fortran, header.dtype)
        held = os.fstat(stream.fileno()).st_size - stream.tell()
        _check_plain(header, held, MOST_BYTES if header.fortran else held)
        if header.shape[0] and not entry.bytes:  # a damaged header may name billions of them
            raise ValueError("its entries hold nothing")
        if entry.bytes > MOST_BYTES:
            raise ValueError(f"{entry.bytes:,} bytes an entry, expected at most {MOST_BYTES:,}")
        if header.fortran:
            yield from read_array(path)
            return
        for _ in range(header.shape[0]):
            content = stream.read(entry.bytes)
            if len(content) != entry.bytes:
                raise ValueError("ends before its last entry")
            yield np.frombuffer(content, entry.dtype).reshape(entry.shape)


def _check_plain(header: Header, held: int, most: int) -> None:
    if header.dtype.hasobject:
        raise ValueError("holds pickled objects, expected plain numbers or strings")
    if header.bytes > held:
        raise ValueError(f"ends after {held:,} of {header.bytes:,} bytes")
    if header.bytes > most:
        raise ValueError(f"{header.bytes:,} bytes, expected at most {most:,}")


class Archive:
    """The arrays of an open ``.npz`` file. Every method raises one of ``UNREADABLE`` where the file is damaged."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self.keys: tuple[str, ...] = tuple(
            name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")
        )

    @contextmanager
    def member(self, key: str) -> Iterator[tuple[Header, Stream, int]]:
        """Header of an array, the stream of what follows it, and how many bytes that has."""
        info = self._file.getinfo(f"{key}.npy")
        # Others expand without a bound on what one call returns; numpy writes none of them.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("compressed in another way than numpy does")
        with self._file.open(info) as stream:
            header = read_header(stream)
            yield header, stream, info.file_size - stream.tell()

    def header(self, key: str) -> Header:
        """Header of an array whose data are as many bytes as it says."""
        with self.member(key) as (header, _, held):
            if not header.dtype.hasobject and header.bytes != held:
                raise ValueError(f"holds {held:,} bytes, expected {header.bytes:,} for its shape and type")
            return header

    def array(self, key: str, most: int = MOST_BYTES) -> np.ndarray:
        """A plain array of at most ``most`` bytes."""
        self.header(key)
        with self.member(key) as (header, stream, held):
            _check_plain(header, held, most)
            array = np.frombuffer(_all_of(stream, held), header.dtype)
            check_characters(array)
            return _shaped(array, header)

    def pickled(self, key: str, most: int) -> tuple[Header, bytearray]:
        """Header and pickle of an array of objects; nothing is unpickled."""
        with self.member(key) as (header, stream, held):
            if held > most:
                raise ValueError(f"{held:,} bytes of pickled objects, expected at most {most:,}")
            return header, _all_of(stream, held)


def check_characters(array: np.ndarray) -> None:
    """Refuse strings with numbers beyond the last character there is, of which Python makes no string.

    Raises:
        ValueError: the array holds one.
    """
    if array.dtype.kind == "U" and array.nbytes:
        codes = array.reshape(-1).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if codes.max() > sys.maxunicode:
            raise ValueError("strings with characters that are none")


def _all_of(stream: Stream, size: int) -> bytearray:
    content = bytearray(size)
    start = 0
    while start < size and (part := stream.read(min(size - start, _CHUNK))):
        content[start : start + len(part)] = part
        start += len(part)
    if start != size or stream.read(1):  # at the end the checksum is compared
        raise ValueError(f"ends after {start:,} of {size:,} bytes")
    return content


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an ``.npz`` file; raises one of ``UNREADABLE`` where it is none."""
    with open_regular(path) as stream:
        if not zipfile.is_zipfile(stream):
            raise ValueError("not a zip archive of arrays")
        stream.seek(0)
        with zipfile.ZipFile(stream) as file:
            _check_names(file.namelist())
            yield Archive(file)


def _check_names(names: list[str]) -> None:
    """Refuse a name that is held twice: of two arrays, which one is meant is not known."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{', '.join(map(ascii, twice[:_SHOWN]))}: held twice, expected each name once")


def damage(error: Exception) -> str:
    """What one of ``UNREADABLE`` says, in one line.

    Raises:
        OSError: the file is not at fault, the system has too little of something.
    """
    raise_if_scarce(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
