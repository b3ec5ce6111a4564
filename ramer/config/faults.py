"""Faults of a section, one line each: file, key, what is wrong, what was given."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxtuple, _BRIEF.maxdict = 4, 20, 20, 20
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = 60


def fault_lines(error: ValidationError, source: str, prefix: str = "") -> list[str]:
    """Pydantic's errors as one line each: file, key, what is wrong, what was given."""
    lines = []
    places = [fault["loc"] for fault in error.errors()]
    for fault in error.errors():
        if any(len(loc) > len(fault["loc"]) and loc[: len(fault["loc"])] == fault["loc"] for loc in places):
            continue  # what is wrong with a list once its bad items are left out
        key = ".".join(one_line(part) for part in (prefix, *fault["loc"]) if part != "")
        lines.append(": ".join(part for part in (source, key, _said(fault)) if part))
    return lines


def repeated(names: Sequence[str], place: str) -> list[str]:
    """A fault for every name that stands more than once in a list.

    Example:
        >>> repeated(["prior", "ramer", "prior"], "--methods")
        ["--methods: 'prior': expected once, named 2 times"]
    """
    counts = Counter(names)
    return [f"{place}: {shortened(n)}: expected once, named {many} times" for n, many in counts.items() if many > 1]


def one_line(key: object) -> str:
    """A key on one line, whatever stands in it."""
    text = str(key)
    return text if text.isprintable() and len(text) <= 60 else shortened(text)


def shortened(value: object) -> str:
    """A value as a fault repeats it: at most 60 characters."""
    if isinstance(value, dict | BaseModel):
        return "a mapping"
    # A list may hold one and the same list again and again: written out it would be larger than memory.
    text = repr(value) if isinstance(value, str) else _BRIEF.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _said(fault: ErrorDetails) -> str:
    """What is wrong with one value, and what was given."""
    kind, given = fault["type"], shortened(fault["input"])
    if kind == "extra_forbidden":
        return "unknown key"
    if kind == "missing":
        return "expected, but not given"
    if kind in ("model_type", "dict_type"):
        return f"expected a mapping, got {given}"
    if kind in ("too_short", "too_long"):
        short, bounds = kind == "too_short", fault["ctx"]
        many = bounds["min_length" if short else "max_length"]
        most = f"expected at {'least' if short else 'most'} {many} {'entry' if many == 1 else 'entries'}"
        return most if bounds["actual_length"] is None else f"{most}, got {bounds['actual_length']}"
    message = fault["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    whole = kind == "value_error" and isinstance(fault["input"], dict | BaseModel)  # the rule names its keys
    return message if whole else f"{message}, got {given}"
