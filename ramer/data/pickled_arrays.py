"""What the globals of numpy do in a pickle, done here: arrays, their types and single values, and nothing else.

Every function gets ``count``, which it tells how many values it is about to make, and which refuses too many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ramer.data.npy import check_characters

_BYTES_A_VALUE = 64  # so many bytes that are copied count as one value

Count = Callable[[int], None]
Arguments = tuple[object, ...]


@dataclass(frozen=True)
class PickledArray:
    """A numpy array in a pickle.

    Attributes:
        shape: of the array. values: its entries in memory order.
    """

    shape: tuple[int, ...]
    values: list[object]


@dataclass
class PickledType:
    """A dtype of plain data."""

    value: np.dtype


@dataclass
class GrowingArray:
    """An array whose shape, type and data arrive by a later instruction."""

    shape: tuple[int, ...] = (0,)
    values: list[object] = field(default_factory=list)


@dataclass(frozen=True)
class Function:
    """What a listed global does here."""

    call: Callable[[Count, Arguments], object]


def whole_number(argument: object) -> int:
    """The argument of an instruction as a number; raises ValueError where it is none."""
    if not isinstance(argument, int):
        raise ValueError("expected a whole number")
    return argument


def array_shape(shape: object) -> tuple[int, ...]:
    """The shape of an array, as a tuple of numbers in a pickle; raises ValueError where it is none."""
    if not isinstance(shape, tuple):
        raise ValueError("a shape that is no tuple")
    return tuple(whole_number(length) for length in shape)


def _raw(data: object) -> bytes | bytearray:
    if isinstance(data, str):  # Python 2 wrote bytes as text; latin-1 brings them back
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise ValueError("data that are no bytes")
    return data


def _kind(kind: object) -> np.dtype:
    if not isinstance(kind, PickledType):
        raise ValueError("a type that is none")
    return kind.value


def array_values(count: Count, kind: object, data: object) -> list[object]:
    """The entries of an array from its type and its bytes, or the list of its objects; raises ValueError."""
    if isinstance(data, list):
        count(len(data))
        return data
    dtype, raw = _kind(kind), _raw(data)
    if dtype.hasobject:
        raise ValueError("objects as bytes")
    count(len(raw) // max(dtype.itemsize, 1) + len(raw) // _BYTES_A_VALUE)
    array = np.frombuffer(raw, dtype=dtype)
    check_characters(array)
    values: list[object] = array.tolist()
    return values


def _dtype(count: Count, arguments: Arguments) -> PickledType:
    spec = arguments[0]
    if not isinstance(spec, str) or len(spec) > 16:
        raise ValueError("a type without a name")
    dtype = np.dtype(spec)
    if dtype.kind not in "biufUSO" or dtype.names is not None:
        raise ValueError(f"refused dtype {spec}")
    return PickledType(dtype)


def _scalar(count: Count, arguments: Arguments) -> object:
    kind, data = arguments
    dtype = _kind(kind)
    if dtype.hasobject:
        raise ValueError("refused an object scalar")
    count(dtype.itemsize // _BYTES_A_VALUE)
    array = np.frombuffer(_raw(data), dtype=dtype)
    check_characters(array)
    return array[0].item()


def _from_buffer(count: Count, arguments: Arguments) -> GrowingArray:
    data, kind, shape = arguments[:3]
    return GrowingArray(array_shape(shape), array_values(count, kind, data))


def _encode(count: Count, arguments: Arguments) -> bytes:
    text, encoding = (*arguments, "latin1")[:2]
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise ValueError(f"refused encoding {str(encoding)[:20]}")
    count(len(text) // _BYTES_A_VALUE)
    return text.encode("latin-1")


def _array_type(count: Count, arguments: Arguments) -> object:
    raise ValueError("refused to make an array of nothing")  # it is only ever an argument of _reconstruct


FUNCTIONS = {
    ("numpy", "ndarray"): Function(_array_type),
    ("numpy", "dtype"): Function(_dtype),
    ("_codecs", "encode"): Function(_encode),
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", Function(lambda count, arguments: GrowingArray())),
            ("multiarray", "scalar", Function(_scalar)),
            ("numeric", "_frombuffer", Function(_from_buffer)),
        )
    },
}
