"""Names of classes that are none: numbers, several labels in a cell, spellings of one name, absent values."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping

_ABSENT = frozenset("nan none null n/a na #n/a nil <na> nat - ? .".split())
_WHOLE = re.compile(r"[+-]?\d+")
_NUMBERED = re.compile(r"0*(\d+)(?:\.0+)?")
_SEPARATORS = re.compile(r"[;|,\t]|\s/\s|\s\+\s|\s&\s")
_LIST = re.compile(r"[\[({].*[\])}]")
_BETWEEN = re.compile(r"[/+&]|\band\b", re.IGNORECASE)
_MOST_NUMBERED = 30  # classes that are numbered; the field's largest sets have 27 or 28
_SHOWN = 3


def class_faults(names: Collection[str], rows: Mapping[str, int] | None = None) -> list[str]:
    """One line per kind of name that is no class, with the choice to make.

    Args:
        names: the distinct names, without spaces around them.
        rows: how many rows each has, where it is known.
    """
    absent = [name for name in names if is_absent(name)]
    numbers = [name for name in names if name not in absent and _is_number(name)]
    several = [name for name in names if name not in numbers and name not in absent and _is_several(name, names)]
    faults = []
    if absent:
        faults.append(
            f"{_listed(absent, rows)}: an absent value, not a class; leave it empty (-1 among a packed file's "
            "numbers) for a row without a label, which joins the pool"
        )
    if any(not _WHOLE.fullmatch(name) for name in numbers) or len(numbers) > _MOST_NUMBERED:
        faults.append(
            f"{_listed(numbers, rows)}: numbers on a scale, not classes; cut them into classes, "
            f"as negative (below 0) and nonnegative{_whole_told(numbers)}"
        )
    elif numbers and len(numbers) + len(absent) + len(several) < len(names):
        words = [name for name in names if name not in {*numbers, *absent, *several}]
        faults.append(f"{_listed(numbers, rows)} beside {_listed(words, rows)}: name classes by numbers or by words")
    elif mark := _mark_of_none(numbers):
        faults.append(
            f"{_listed([mark], rows)} beside numbers from 0: a mark of no label, not a class; leave it empty for a row "
            "without a label, which joins the pool, or name the classes by words"
        )
    if several:
        faults.append(
            f"{_listed(several, rows)}: several labels of one row; choose one, or leave it empty for the pool"
        )
    return [*faults, *_spellings([name for name in names if name not in numbers], rows)]


def is_absent(name: str) -> bool:
    """Whether a name is what programs write where there is none: nan, None, N/A."""
    return name.strip().casefold() in _ABSENT


def _whole_told(numbers: Collection[str]) -> str:
    """What pandas makes of whole numbers beside empty cells: 0.0, 1.0."""
    whole = len(numbers) <= _MOST_NUMBERED and all(float(name).is_integer() for name in numbers)
    return "; or, where they number the classes, write them whole (0, 1, 2)" if whole else ""


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _mark_of_none(numbers: Collection[str]) -> str | None:
    """The one number below 0, where the others are not the other half of a scale such as -1, 0, 1."""
    below = [name for name in numbers if int(name) < 0]
    if len(below) != 1:
        return None
    lowest, highest = int(below[0]), max(map(int, numbers))
    return below[0] if -lowest != highest and (highest > 1 or lowest < -1) else None


def _is_several(name: str, names: Collection[str]) -> bool:
    if _SEPARATORS.search(name) or _LIST.fullmatch(name):
        return True
    parts = [part.strip() for part in _BETWEEN.split(name)]
    return len(parts) > 1 and all(part in names for part in parts)


def several_spellings(names: Collection[str]) -> list[list[str]]:
    """Names that are one but for case, spaces, dashes, or how a number is written (1, 01, 1.0)."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        number = _NUMBERED.fullmatch(name)
        plain = re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())
        alike[number[1] if number else plain].append(name)
    return [spelt for spelt in alike.values() if len(spelt) > 1]


def _spellings(names: Collection[str], rows: Mapping[str, int] | None) -> list[str]:
    return [
        f"{_listed(spelt, rows)}: one class in several spellings; write it in one" for spelt in several_spellings(names)
    ]


def _listed(names: list[str], rows: Mapping[str, int] | None) -> str:
    shown = [f"{name!r}{_rows(rows[name]) if rows and name in rows else ''}" for name in names[:_SHOWN]]
    rest = len(names) - _SHOWN
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def _rows(count: int) -> str:
    return f" ({count} row{'' if count == 1 else 's'})"
