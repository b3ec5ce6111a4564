"""Faults of a section, one line each: file, key, what is wrong, what was given."""

from __future__ import annotations

import reprlib

from pydantic import BaseModel, ValidationError

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
        if fault["type"] == "extra_forbidden":
            lines.append(f"{source}: {key}: unknown key")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{source}: {key}: {message[:1].lower()}{message[1:]}, got {shortened(fault['input'])}")
    return lines


def one_line(key: object) -> str:
    """A key on one line, whatever stands in it."""
    text = str(key)
    return text if text.isprintable() and len(text) <= 60 else shortened(text)


def shortened(value: object) -> str:
    """A value as a fault repeats it: at most 60 characters."""
    if isinstance(value, dict | BaseModel):
        return "this section"
    # A list may hold one and the same list again and again: written out it would be larger than memory.
    text = repr(value) if isinstance(value, str) else _BRIEF.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
