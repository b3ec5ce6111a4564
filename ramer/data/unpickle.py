"""Data that somebody else pickled: read the dicts, strings, numbers and arrays in it, run nothing.

A pickle is a program. Here it is read instruction by instruction by this module alone: an instruction that no plain
data needs, or a global outside the list, is refused, and what the listed globals would do is done by functions of this
module: ``numpy.core.multiarray.scalar`` in a file means ``_scalar`` here. Python's own unpickler never sees the file.

Memory and time are bounded by the number of values that a file may make, which the size of the file does not bound:
one byte can repeat an array of any size.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ramer.data.names import on_one_line
from ramer.data.npy import UNREADABLE, check_characters, damage, open_archive
from ramer.errors import CorpusError

MOST_PICKLED_BYTES = 1 << 27  # of one pickle; the label file of the largest corpus of the field takes 10 MB
MOST_VALUES = 5_000_000  # that one pickle may make; that corpus takes 800,000
_DEEPEST = 32  # containers within each other
_MOST_INTEGER_BYTES = 8
_BYTES_A_VALUE = 64  # so many bytes that are copied count as one value
_EXPECTED = "expected only dicts, strings, numbers and numpy arrays"

_PUSHED = frozenset(
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES "
    "BINBYTES8 BYTEARRAY8 BINSTRING SHORT_BINSTRING".split()
)
_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


class Refused(ValueError):
    """An instruction or a global that no plain data needs."""


@dataclass(frozen=True)
class PickledArray:
    """A numpy array in a pickle, its entries in memory order."""

    shape: tuple[int, ...]
    values: list[object]


@dataclass
class _Type:
    """A dtype of plain data."""

    value: np.dtype


@dataclass
class _Growing:
    """An array whose shape, type and data arrive by a later instruction."""

    shape: tuple[int, ...] = (0,)
    values: list[object] = field(default_factory=list)


@dataclass(frozen=True)
class _Function:
    """What a listed global does here."""

    call: Callable[[_Machine, tuple[object, ...]], object]


class _Machine:
    """Stack, marks and memo of a pickle that is being read."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.made = 0

    def count(self, values: int) -> None:
        self.made += values
        if self.made > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values")

    def push(self, value: object) -> None:
        self.count(1)
        self.stack.append(value)

    def since_mark(self) -> list[object]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values


def read_pickle(data: bytes | bytearray) -> object:
    """What a pickle holds; an array in it becomes a ``PickledArray``, and in a dict the list of its values.

    Raises:
        Refused: an instruction or a global that no plain data needs.
        ValueError: damaged, or larger than ``MOST_VALUES``.
    """
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(bytes(data)):
            if instruction.name == "STOP":
                break
            _step(machine, instruction.name, argument)
        return _plain(machine.stack[-1], {}, 0)
    except Refused:
        raise
    except UNREADABLE as error:
        raise ValueError(f"damaged pickle: {damage(error)}") from None


def _step(machine: _Machine, name: str, argument: object) -> None:
    """Do one instruction."""
    if name in _PUSHED:
        if isinstance(argument, int) and argument.bit_length() > 8 * _MOST_INTEGER_BYTES:
            raise ValueError(f"an integer of more than {_MOST_INTEGER_BYTES} bytes")
        machine.push(argument)
    elif name in ("BINGET", "LONG_BINGET"):
        machine.push(machine.memo[_index(argument)])
    elif name in ("BINPUT", "LONG_BINPUT"):
        machine.memo[_index(argument)] = machine.stack[-1]
    elif name == "MEMOIZE":
        machine.memo[len(machine.memo)] = machine.stack[-1]
    elif name in _CONSTANTS:
        machine.push(_CONSTANTS[name])
    elif name == "MARK":
        machine.marks.append(len(machine.stack))
    elif name in _CONTAINERS:
        _CONTAINERS[name](machine)
    elif name == "GLOBAL":
        module, _, attribute = str(argument).partition(" ")
        machine.push(_function(module, attribute))
    elif name not in ("PROTO", "FRAME"):
        raise Refused(f"refused pickle instruction {name}, {_EXPECTED}")


def _index(argument: object) -> int:
    if not isinstance(argument, int):
        raise ValueError("a memo without a number")
    return argument


def _function(module: object, attribute: object) -> _Function:
    if not isinstance(module, str) or not isinstance(attribute, str):
        raise Refused(f"refused a pickled global whose name is computed, {_EXPECTED}")
    if (module, attribute) not in _FUNCTIONS:
        raise Refused(f"refused pickled global {module}.{attribute}, {_EXPECTED}")
    return _FUNCTIONS[module, attribute]


def _stack_global(machine: _Machine) -> None:
    module, attribute = (None, None, *machine.stack)[-2:]
    function = _function(module, attribute)
    del machine.stack[-2:]
    machine.push(function)


def _take(machine: _Machine, count: int) -> list[object]:
    if len(machine.stack) < count:
        raise ValueError("an empty stack")
    values = machine.stack[-count:]
    del machine.stack[-count:]
    return values


def _append(machine: _Machine, values: list[object]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, list):
        raise ValueError("an entry of no list")
    target += values


def _set(machine: _Machine, pairs: list[object]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, dict):
        raise ValueError("an entry of no dict")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str):  # numbers can be chosen so that a dict of them takes for ever
            raise ValueError("a key that is no string")
        target[key] = value


def _reduce(machine: _Machine) -> None:
    function, arguments = _take(machine, 2)
    if not isinstance(function, _Function) or not isinstance(arguments, tuple):
        raise ValueError("a call of no function")
    machine.push(function.call(machine, arguments))


def _build(machine: _Machine) -> None:
    target, state = _take(machine, 2)
    if not isinstance(state, tuple):
        raise ValueError("a state that is no tuple")
    if isinstance(target, _Type):
        if state[1] in ("<", ">"):
            target = _Type(target.value.newbyteorder(">" if state[1] == ">" else "<"))
    elif isinstance(target, _Growing):
        _, shape, kind, _, data = state
        target.shape, target.values = _shape(shape), _values(machine, kind, data)
    else:
        raise ValueError("a state of nothing that has one")
    machine.stack.append(target)


def _shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple):
        raise ValueError("a shape that is no tuple")
    return tuple(_index(length) for length in shape)


def _raw(data: object) -> bytes | bytearray:
    if isinstance(data, str):  # Python 2 wrote bytes as text; latin-1 brings them back
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise ValueError("data that are no bytes")
    return data


def _kind(kind: object) -> np.dtype:
    if not isinstance(kind, _Type):
        raise ValueError("a type that is none")
    return kind.value


def _values(machine: _Machine, kind: object, data: object) -> list[object]:
    if isinstance(data, list):
        machine.count(len(data))
        return data
    dtype, raw = _kind(kind), _raw(data)
    if dtype.hasobject:
        raise ValueError("objects as bytes")
    machine.count(len(raw) // max(dtype.itemsize, 1) + len(raw) // _BYTES_A_VALUE)
    array = np.frombuffer(raw, dtype=dtype)
    check_characters(array)
    values: list[object] = array.tolist()
    return values


def _dtype(machine: _Machine, arguments: tuple[object, ...]) -> _Type:
    spec = arguments[0]
    if not isinstance(spec, str) or len(spec) > 16:
        raise ValueError("a type without a name")
    dtype = np.dtype(spec)
    if dtype.kind not in "biufUSO" or dtype.names is not None:
        raise ValueError(f"refused dtype {spec}")
    return _Type(dtype)


def _scalar(machine: _Machine, arguments: tuple[object, ...]) -> object:
    kind, data = arguments
    dtype = _kind(kind)
    if dtype.hasobject:
        raise ValueError("refused an object scalar")
    machine.count(dtype.itemsize // _BYTES_A_VALUE)
    array = np.frombuffer(_raw(data), dtype=dtype)
    check_characters(array)
    return array[0].item()


def _from_buffer(machine: _Machine, arguments: tuple[object, ...]) -> _Growing:
    data, kind, shape = arguments[:3]
    return _Growing(_shape(shape), _values(machine, kind, data))


def _encode(machine: _Machine, arguments: tuple[object, ...]) -> bytes:
    text, encoding = (*arguments, "latin1")[:2]
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise ValueError(f"refused encoding {str(encoding)[:20]}")
    machine.count(len(text) // _BYTES_A_VALUE)
    return text.encode("latin-1")


def _array_type(machine: _Machine, arguments: tuple[object, ...]) -> object:
    raise ValueError("refused to make an array of nothing")  # it is only ever an argument of _reconstruct


_FUNCTIONS = {
    ("numpy", "ndarray"): _Function(_array_type),
    ("numpy", "dtype"): _Function(_dtype),
    ("_codecs", "encode"): _Function(_encode),
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _Function(lambda machine, arguments: _Growing())),
            ("multiarray", "scalar", _Function(_scalar)),
            ("numeric", "_frombuffer", _Function(_from_buffer)),
        )
    },
}
_CONTAINERS: dict[str, Callable[[_Machine], None]] = {
    "EMPTY_DICT": lambda machine: machine.push({}),
    "EMPTY_LIST": lambda machine: machine.push([]),
    "TUPLE": lambda machine: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine: machine.push(tuple(_take(machine, 1))),
    "TUPLE2": lambda machine: machine.push(tuple(_take(machine, 2))),
    "TUPLE3": lambda machine: machine.push(tuple(_take(machine, 3))),
    "APPEND": lambda machine: _append(machine, _take(machine, 1)),
    "APPENDS": lambda machine: _append(machine, machine.since_mark()),
    "SETITEM": lambda machine: _set(machine, _take(machine, 2)),
    "SETITEMS": lambda machine: _set(machine, machine.since_mark()),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
}


def _plain(value: object, opened: dict[int, object], depth: int) -> object:
    """Open the arrays in what was read; ``opened`` holds what has been met before, so that none is opened twice."""
    if not isinstance(value, dict | list | tuple | _Growing):
        if isinstance(value, _Type | _Function):
            raise ValueError("a type or a function as a value")
        return value
    if depth > _DEEPEST:
        raise ValueError(f"containers nested deeper than {_DEEPEST}")
    if id(value) not in opened:
        if isinstance(value, dict):
            opened[id(value)] = {key: _entry(held, opened, depth + 1) for key, held in value.items()}
        elif isinstance(value, _Growing):
            held = [_plain(entry, opened, depth + 1) for entry in value.values]
            opened[id(value)] = PickledArray(value.shape, held)
        else:
            opened[id(value)] = [_entry(entry, opened, depth + 1) for entry in value]
    return opened[id(value)]


def _entry(value: object, opened: dict[int, object], depth: int) -> object:
    """A value in a dict or list: an array of one value is that value, a longer one a list."""
    plain = _plain(value, opened, depth)
    if not isinstance(plain, PickledArray):
        return plain
    return plain.values[0] if len(plain.values) == 1 else plain.values


def read_objects(path: Path, wanted: Callable[[str], bool]) -> dict[str, object]:
    """The objects in the 0-d object arrays of an ``.npz``, by member name in the file's order.

    Args:
        wanted: says by its name whether a member is read.

    Raises:
        CorpusError: not an ``.npz``, or a member holds anything but dicts, strings, numbers and numpy arrays.
    """
    objects: dict[str, object] = {}
    where = f"{path}: not a whole .npz file: "
    try:
        with open_archive(path) as archive:
            for member in filter(wanted, archive.keys):
                shown = on_one_line(member)
                where = f"{path}: {shown}: not an array: "
                header, data = archive.pickled(member, MOST_PICKLED_BYTES)
                where = f"{path}: {shown}: "
                if header.shape != () or header.dtype != np.dtype(object):
                    raise ValueError(
                        "expected one pickled dict (a 0-d object array), "
                        f"found {header.dtype} of shape {list(header.shape)}"
                    )
                objects[member] = _entry(read_pickle(data), {}, 0)
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file, expected a label file") from None
    except UNREADABLE as error:
        raise CorpusError(f"{where}{damage(error)}") from None
    return objects
