"""Where a method's options are looked for: the bounds that stand beside their types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ramer.config import Among, Searched
from ramer.inputs import OWN_KEYS
from ramer.methods import MethodOptions

Value = str | int | float | bool
Space = dict[str, Searched | Among]
_DIGITS = 3  # of a number that is tried: what is written into params.yaml is what was tried


def space_of(options: MethodOptions, width: int) -> Space:
    """The options of an entry under ``methods`` that are looked for.

    One whose value lies outside of its bounds stays as it is: it was chosen so.

    Args:
        options: as they stand.
        width: candidates kept per query, which bounds ``k`` where lists are read.
    """
    space: Space = {}
    lists = OWN_KEYS not in options.extra_inputs
    for name, value in current(options).items():
        if name in options.unsearched:
            continue
        for bounds in type(options).model_fields[name].metadata:
            match bounds:
                case Searched() if name == "k" and lists:
                    bounds = replace(bounds, high=min(bounds.high, width))
                case Searched() | Among():
                    pass
                case _:
                    continue
            if holds(bounds, value):
                space[name] = bounds
    return space


def holds(bounds: Searched | Among, value: object) -> bool:
    """Whether a value is one that may be tried."""
    match bounds, value:
        case Among(values), _:
            return value in values
        case Searched(low, high), int() | float():
            return low <= value <= high
    return False


def current(options: MethodOptions) -> dict[str, object]:
    """The options that have one value."""
    return {name: value for name, value in options.model_dump().items() if type(value) in (str, int, float, bool)}


def short(drawn: Mapping[str, Value], present: Mapping[str, object]) -> dict[str, Value]:
    """Values with the digits that are tried.

    Args:
        drawn: by a sampler.
        present: the options as they stand, whose digits all stay.

    Example:
        >>> short({"tau": 0.123456, "weight": 0.123456}, {"tau": 0.123456, "weight": 1.0})
        {'tau': 0.123456, 'weight': 0.123}
    """
    return {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) and value != present[name] else value
        for name, value in drawn.items()
    }
