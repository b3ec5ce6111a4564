"""Data that somebody else pickled: read the dicts, strings, numbers and arrays in it, run nothing.

A pickle is a program. Here it is read instruction by instruction by this module alone: an instruction that no plain
data needs, or a global outside the list, is refused, and what the listed globals would do is done by functions of this
project: ``numpy.core.multiarray.scalar`` in a file means a function of ``ramer.data.pickled_arrays``. Python's own
unpickler never sees the file.

Memory and time are bounded by the number of values that a file may make, which the size of the file does not bound:
one byte can repeat an array of any size.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable

from ramer.data.npy import UNREADABLE, damage
from ramer.data.pickled_arrays import (
    FUNCTIONS,
    Function,
    GrowingArray,
    PickledArray,
    PickledType,
    array_shape,
    array_values,
    whole_number,
)

MOST_VALUES = 5_000_000  # that one pickle may make; that corpus takes 800,000
_DEEPEST = 32  # containers within each other
_MOST_INTEGER_BYTES = 8
_EXPECTED = "expected only dicts, strings, numbers and numpy arrays"

_PUSHED = frozenset(
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES "
    "BINBYTES8 BYTEARRAY8 BINSTRING SHORT_BINSTRING".split()
)
_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


class Refused(ValueError):
    """An instruction or a global that no plain data needs."""


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
        machine.push(machine.memo[whole_number(argument)])
    elif name in ("BINPUT", "LONG_BINPUT"):
        machine.memo[whole_number(argument)] = machine.stack[-1]
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


def _function(module: object, attribute: object) -> Function:
    if not isinstance(module, str) or not isinstance(attribute, str):
        raise Refused(f"refused a pickled global whose name is computed, {_EXPECTED}")
    if (module, attribute) not in FUNCTIONS:
        raise Refused(f"refused pickled global {module}.{attribute}, {_EXPECTED}")
    return FUNCTIONS[module, attribute]


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
    if not isinstance(function, Function) or not isinstance(arguments, tuple):
        raise ValueError("a call of no function")
    machine.push(function.call(machine.count, arguments))


def _build(machine: _Machine) -> None:
    target, state = _take(machine, 2)
    if not isinstance(state, tuple):
        raise ValueError("a state that is no tuple")
    if isinstance(target, PickledType):
        if state[1] in ("<", ">"):
            target = PickledType(target.value.newbyteorder(">" if state[1] == ">" else "<"))
    elif isinstance(target, GrowingArray):
        _, shape, kind, _, data = state
        target.shape, target.values = array_shape(shape), array_values(machine.count, kind, data)
    else:
        raise ValueError("a state of nothing that has one")
    machine.stack.append(target)


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
    if not isinstance(value, dict | list | tuple | GrowingArray):
        if isinstance(value, PickledType | Function):
            raise ValueError("a type or a function as a value")
        return value
    if depth > _DEEPEST:
        raise ValueError(f"containers nested deeper than {_DEEPEST}")
    if id(value) not in opened:
        if isinstance(value, dict):
            opened[id(value)] = {key: plain_entry(held, opened, depth + 1) for key, held in value.items()}
        elif isinstance(value, GrowingArray):
            held = [_plain(entry, opened, depth + 1) for entry in value.values]
            opened[id(value)] = PickledArray(value.shape, held)
        else:
            opened[id(value)] = [plain_entry(entry, opened, depth + 1) for entry in value]
    return opened[id(value)]


def plain_entry(value: object, opened: dict[int, object], depth: int) -> object:
    """A value in a dict or list: an array of one value is that value, a longer one a list."""
    plain = _plain(value, opened, depth)
    if not isinstance(plain, PickledArray):
        return plain
    return plain.values[0] if len(plain.values) == 1 else plain.values
