"""Label files of MERBench hold pickled objects: read the data in them, run nothing.

A pickle is a program. Here it is first read as text: an instruction that no plain data needs, or a global outside the
list, is refused before anything runs. What is left is then built by this module alone, never by the imported names:
``numpy.core.multiarray.scalar`` in a file means ``_Builder.scalar`` here.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ramer.data.npy import UNREADABLE, damage
from ramer.errors import CorpusError

_DATA_INSTRUCTION = re.compile(
    "PROTO|FRAME|STOP|MARK|NONE|NEWTRUE|NEWFALSE|BININT[12]?|LONG[14]|BINFLOAT|(SHORT_)?BINUNICODE8?|(SHORT_)?BINBYTES8?"
    "|BYTEARRAY8|(SHORT_)?BINSTRING|EMPTY_(DICT|LIST|TUPLE)|TUPLE[123]?|APPENDS?|SETITEMS?|(LONG_)?BIN(PUT|GET)|MEMOIZE"
    "|(STACK_)?GLOBAL|REDUCE|BUILD"
)
_STRINGS = frozenset({"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})
_BUILDERS = {
    ("numpy", "ndarray"): "array_type",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    **{(f"numpy.{core}.multiarray", "_reconstruct"): "reconstruct" for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): "scalar" for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): "from_buffer" for core in ("core", "_core")},
}
_EXPECTED = "expected only dicts, strings, numbers and numpy arrays"


def read_objects(path: Path, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """The objects in the 0-d object arrays of an ``.npz``, by member name in the file's order.

    Args:
        wanted: says by its name whether a member is read.

    Raises:
        CorpusError: not an ``.npz``, or a member holds anything but dicts, strings, numbers and numpy arrays.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = [name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")]
            return {m: _read_member(path, m, file.read(f"{m}.npy")) for m in members if wanted(m)}
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file, expected a label file") from None
    except UNREADABLE as error:
        raise CorpusError(f"{path}: not a whole .npz file: {damage(error)}") from None


def _read_member(path: Path, member: str, data: bytes) -> Any:
    where = f"{path}: {member}"
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
    except UNREADABLE as error:
        raise CorpusError(f"{where}: not an array: {damage(error)}") from None
    if shape != () or dtype != np.dtype(object):
        raise CorpusError(f"{where}: expected one pickled dict (a 0-d object array), found {dtype} of shape {shape}")
    payload = data[stream.tell() :]
    _scan(where, payload)
    try:
        return _plain(_Unpickler(io.BytesIO(payload)).load())
    except Exception as error:
        raise CorpusError(f"{where}: damaged pickle: {' '.join(str(error).split())}") from None


def _scan(where: str, payload: bytes) -> None:
    """Refuse a pickle by its instructions alone, without running it."""
    memo: dict[int, str | None] = {}
    pushed: list[str | None] = [None, None]  # the last two values, where they are strings in plain sight
    try:
        for instruction, argument, _ in pickletools.genops(payload):
            name = instruction.name
            if not _DATA_INSTRUCTION.fullmatch(name):
                raise CorpusError(f"{where}: refused pickle instruction {name}, {_EXPECTED}")
            if name == "GLOBAL":
                module, _, attribute = str(argument).partition(" ")
                _allow(where, module, attribute)
            elif name == "STACK_GLOBAL":
                _allow(where, *pushed[-2:])
            if name in ("BINPUT", "LONG_BINPUT"):
                memo[int(str(argument))] = pushed[-1]
            elif name == "MEMOIZE":
                memo[len(memo)] = pushed[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                pushed = [pushed[-1], memo.get(int(str(argument)))]
            elif name not in ("PROTO", "FRAME"):
                pushed = [pushed[-1], str(argument) if name in _STRINGS else None]
    except (ValueError, IndexError) as error:
        raise CorpusError(f"{where}: damaged pickle: {error}") from None


def _allow(where: str, module: str | None, attribute: str | None) -> str:
    if module is None or attribute is None:
        raise CorpusError(f"{where}: refused a pickled global whose name is computed, {_EXPECTED}")
    if (module, attribute) not in _BUILDERS:
        raise CorpusError(f"{where}: refused pickled global {module}.{attribute}, {_EXPECTED}")
    return _BUILDERS[module, attribute]


class _Unpickler(pickle.Unpickler):
    """Resolves the listed globals to methods of ``_Builder``; the scan has refused the others already."""

    def find_class(self, module: str, attribute: str) -> Any:
        return getattr(_Builder(), _allow("pickle", module, attribute))


class _Type:
    """A dtype of plain data; ``__setstate__`` takes its byte order only."""

    def __init__(self, spec: str) -> None:
        self.value = np.dtype(spec)
        if self.value.kind not in "biufUSO" or self.value.names is not None:
            raise ValueError(f"refused dtype {spec}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.value = self.value.newbyteorder(state[1])


class _Array:
    """An array in the making: shape, type and data arrive by ``__setstate__``."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.data: list[Any] = []

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, _, data = state
        self.shape = tuple(shape)
        self.data = data if isinstance(data, list) else np.frombuffer(data, dtype=kind.value).tolist()


def _plain(value: Any) -> Any:
    """Open the arrays in what was read: an array of one value is that value, a longer one a list."""
    if isinstance(value, dict):
        return {key: _plain(held) for key, held in value.items()}
    if isinstance(value, _Array):
        opened = [_plain(held) for held in value.data]
        return opened[0] if len(opened) == 1 else opened
    return value


class _Builder:
    """What the listed globals do here."""

    array_type = None  # only ever an argument of reconstruct

    def dtype(self, spec: str, *_: Any) -> _Type:
        return _Type(spec)

    def reconstruct(self, *_: Any) -> _Array:
        return _Array()

    def scalar(self, kind: _Type, data: bytes | str = b"") -> Any:
        if kind.value.kind == "O":
            raise ValueError("refused an object scalar")
        # Python 2 wrote bytes as text; latin-1 brings them back.
        raw = data.encode("latin-1") if isinstance(data, str) else data
        return np.frombuffer(raw, dtype=kind.value)[0].item()

    def from_buffer(self, data: bytes | bytearray, kind: _Type, shape: tuple[int, ...], *_: Any) -> _Array:
        array = _Array()
        array.__setstate__((1, shape, kind, False, bytes(data)))
        return array

    def encode(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise ValueError(f"refused encoding {encoding}")
        return text.encode("latin-1")
