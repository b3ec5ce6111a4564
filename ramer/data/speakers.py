"""Names of speakers that are likely none, or one in several spellings: folds would take them for what they are not."""

from __future__ import annotations

from collections.abc import Iterable

from ramer.data.classes import is_absent, several_spellings

_SHOWN = 3


def speaker_notes(speakers: Iterable[str | None]) -> list[str]:
    """One line per name that looks absent, and per names that are one but for their spelling; "" is no name."""
    names = {name for name in speakers if name}
    absent = sorted(name for name in names if is_absent(name))
    notes = [f"speaker: {name!r}: taken as a speaker's name; leave it empty where none is known" for name in absent]
    alike = several_spellings(names.difference(absent))
    shown = [
        f"speaker: {', '.join(map(repr, spelt))}: taken as {len(spelt)} speakers; write one in one way"
        for spelt in alike[:_SHOWN]
    ]
    more = [f"speaker: {len(alike) - _SHOWN} more are written in several ways"] if len(alike) > _SHOWN else []
    return [*notes, *shown, *more]
