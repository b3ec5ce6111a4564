"""Clip names that are safe as paths: nothing outside the feature folder is ever read, written or removed."""

from __future__ import annotations

_OF_THE_SYSTEM = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle", "lost+found"),
        *("$recycle.bin", "system volume information"),
    }
)
_MAX_NAME_BYTES = 250  # a file system takes 255 for a name; ".npy" is added


def name_problem(name: str) -> str | None:
    """Why a clip's name cannot be a path below the feature folder, of parts joined by ``/``; None where it can."""
    parts = name.split("/")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "a name must not be absolute or hold empty, '.' or '..' parts"
    if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in name):
        return "a name must not hold control characters or bytes that are not UTF-8"
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        return f"a name must not be longer than {_MAX_NAME_BYTES} bytes"
    return None


def is_text(name: str) -> bool:
    """Whether a file can hold a string: no half of a character that takes two, nor a byte that is not UTF-8.

    Example:
        >>> is_text("clip 1"), is_text("clip \\ud800")
        (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_of_the_system(name: str) -> bool:
    """Whether a file or folder is hidden, or was left by an operating system: passed over wherever clips are sought."""
    return name.startswith((".", "~$")) or name.casefold() in _OF_THE_SYSTEM


def on_one_line(name: str) -> str:
    """A name out of somebody else's file as it can stand in a message."""
    return name if name.isprintable() else ascii(name)
