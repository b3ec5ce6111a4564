"""Names in a table against names of files: what does not pair is counted, with examples and the likely cause."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

_HARDLY_ANY = 0.5  # of what could pair, where names are left on both sides
_EXAMPLES = 3
_COMPARED = 20_000  # names of each side that a cause is sought for
_ENDING = re.compile(
    r"\.(npy|npz|mp4|m4v|avi|mkv|mov|webm|flv|wav|flac|mp3|m4a|ogg|opus|aac|ts|mpg|mpeg|wmv|csv)$", re.I
)
# What the same name may differ by, from the most to the least harmless.
_CAUSES: dict[str, Callable[[str], str]] = {
    "back-slashes": lambda name: name.replace("\\", "/"),
    "spaces": lambda name: re.sub(r"\s+", " ", name.strip()),
    "the file's ending": lambda name: _ENDING.sub("", name),
    "two ways to write an accent": lambda name: unicodedata.normalize("NFKC", name),
    "upper and lower case": str.casefold,
    "a number written as 1.0": lambda name: re.sub(r"(?<=\d)\.0$", "", name),
    "leading zeros": lambda name: re.sub(r"(?<!\d)0+(?=\d)", "", name),
    "sub-folders": lambda name: name.rpartition("/")[2],
}


@dataclass(frozen=True)
class Pairing:
    """How names in a table fit names of files.

    Attributes:
        wanted: number of names in the table.
        held: number of names of files.
        unmatched: names of the table that no file has.
        unused: names of files that are not in the table.
        causes: what the two sides differ by, where leaving it out pairs names.
        offers: name of the table to the one file that it then pairs with.
    """

    wanted: int
    held: int
    unmatched: tuple[str, ...]
    unused: tuple[str, ...]
    causes: tuple[str, ...]
    offers: Mapping[str, str]

    @property
    def hardly_any(self) -> bool:
        """Whether so little pairs, with names left on both sides, that the names must be written in two ways."""
        paired = self.wanted - len(self.unmatched)
        return bool(self.unmatched and self.unused) and paired < _HARDLY_ANY * min(self.wanted, self.held)

    def said(self, names: str, files: str) -> str:
        """One line: counts, examples and the likely cause.

        Args:
            names: what the table holds, as in "rows". files: what it is compared with, as in "clips".
        """
        parts = []
        if self.unmatched:
            parts.append(
                f"{len(self.unmatched)} of {self.wanted} {names} name none of the {files}{_such(self.unmatched)}"
            )
        if self.unused:
            parts.append(f"{len(self.unused)} of {self.held} {files} have none of the {names}{_such(self.unused)}")
        if self.offers:
            told = ", ".join(f"{name!r} is {file!r}?" for name, file in list(self.offers.items())[:_EXAMPLES])
            parts.append(f"likely cause: {' and '.join(self.causes)} ({told})")
        return "; ".join(parts)


def pair_names(wanted: Iterable[str], held: Collection[str]) -> Pairing:
    """Compare the names of a table with those of files."""
    names, files = set(wanted), set(held)
    unmatched, unused = tuple(sorted(names - files)), tuple(sorted(files - names))
    causes, offers = _explain(unmatched[:_COMPARED], unused[:_COMPARED])
    return Pairing(len(names), len(files), unmatched, unused, causes, offers)


def _explain(unmatched: Collection[str], unused: Collection[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The fewest causes that pair as many names as all of them together."""
    kept = list(_CAUSES)
    best = _offers(unmatched, unused, kept)
    if not best:
        return (), {}
    for cause in reversed(_CAUSES):
        fewer = [name for name in kept if name != cause]
        offers = _offers(unmatched, unused, fewer)
        if len(offers) >= len(best):
            kept, best = fewer, offers
    return tuple(kept), best


def _offers(unmatched: Collection[str], unused: Collection[str], causes: list[str]) -> dict[str, str]:
    """Names that pair with one file, and no other name with it, once the causes are left out."""

    def key(name: str) -> str:
        for cause in causes:
            name = _CAUSES[cause](name)
        return name

    files, names = _unique(unused, key), _unique(unmatched, key)
    return {
        name: files[short] for short, name in names.items() if short in files and _within(name, files[short], causes)
    }


def _within(name: str, file: str, causes: list[str]) -> bool:
    """Whether one lies in a sub-folder more than the other; ``s1/3`` and ``s2/3`` are two clips."""
    for cause in causes:
        if cause != "sub-folders":
            name, file = _CAUSES[cause](name), _CAUSES[cause](file)
    return name == file or f"/{name}".endswith(f"/{file}") or f"/{file}".endswith(f"/{name}")


def _unique(names: Collection[str], key: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, str] = {}
    twice: set[str] = set()
    for name in names:
        short = key(name)
        twice |= {short} if short in found else set()
        found[short] = name
    return {short: name for short, name in found.items() if short not in twice}


def _such(names: tuple[str, ...]) -> str:
    return f", such as {', '.join(map(repr, names[:_EXAMPLES]))}"
