"""The best options as a user has them: a command line, or an edited ``params.yaml`` with its comments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from ramer.errors import ConfigError
from ramer.files import atomic_file
from ramer.tuning.spaces import Value
from ramer.yaml12 import read_yaml

_ALIAS = re.compile(r"\s*:\s*(\*[^\s,\[\]{}]+)")  # after a key
_WIDTH = 1 << 20


def as_command(changes: Mapping[str, Mapping[str, Value]], entries: Mapping[str, Mapping[str, Any]]) -> str:
    """``dvc exp run`` with the options of some methods.

    Args:
        changes: method to options. entries: ``methods`` as it stands; an option that it does not name is added.

    Example:
        >>> as_command({"ramer": {"k": 7, "rerank": "learned"}}, {"ramer": {"type": "ramer", "k": 5}})
        'dvc exp run -S methods.ramer.k=7 -S +methods.ramer.rerank=learned'
    """
    settings = [
        f"{'' if option in entries[method] else '+'}methods.{method}.{option}={_plain(value)}"
        for method, options in changes.items()
        for option, value in options.items()
    ]
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(one)}" for one in settings)])


def apply(params: Path, changes: Mapping[str, Mapping[str, Value]]) -> None:
    """Set the options of some methods in ``params.yaml``; every other character stays.

    An entry that is another's by an alias (``other: *mine``) gets its own text first.

    Raises:
        ConfigError: a change would be one of another entry, too; nothing is written.
    """
    text = params.read_bytes().decode("utf-8")
    for method, options in changes.items():
        wanted = _changed(read_yaml(text), method, options)
        try:
            text = _unshared(text, method)
            for option, value in options.items():
                text = _set(text, method, option, value)
            same = read_yaml(text) == wanted
        except (ValueError, yaml.YAMLError):
            same = False
        if not same:
            raise ConfigError(
                f"{params}: methods.{method}: shares text with another entry (&, * or <<) or ends in a block, "
                "nothing is written: give it options of its own"
            )
    with atomic_file(params) as temporary:
        temporary.write_bytes(text.encode())


def _changed(raw: object, method: str, options: Mapping[str, Value]) -> object:
    assert isinstance(raw, dict)
    entries: dict[str, dict[str, object]] = raw["methods"]
    return raw | {"methods": entries | {method: {**entries[method], **options}}}


def _set(text: str, method: str, option: str, value: Value) -> str:
    """The text with one option of an entry changed or, where it is not named, added."""
    entry = _entries(text)[method][1]
    for key, held in entry.value:
        if key.value == option:
            start, end = _place(text, key, held)
            space = " " if text[start - 1] == ":" else ""  # nothing stood there
            return f"{text[:start]}{space}{_plain(value)}{text[end:]}"
    return _added(text, entry, f"{option}: {_plain(value)}")


def _added(text: str, entry: MappingNode, line: str) -> str:
    """The text with one more option at the end of an entry: behind the last whose end is known.

    Raises:
        ValueError: of none it is.
    """
    ends = [
        (key, held.end_mark.index)
        for key, held in entry.value
        if not _is_alias(key, held) and (isinstance(held, ScalarNode) or held.flow_style)
    ]
    if not ends:
        raise ValueError("an entry of aliases alone")
    key, end = ends[-1]
    if entry.flow_style:
        return f"{text[:end]}, {line}{text[end:]}"
    end = text.find("\n", end) if "\n" in text[end:] else len(text)
    newline = "\r\n" if text[end - 1 : end + 1] == "\r\n" else "\n"
    end -= len(newline) - 1
    return f"{text[:end]}{newline}{' ' * key.start_mark.column}{line}{text[end:]}"


def _unshared(text: str, method: str) -> str:
    """The text with a copy of an entry in the place of every alias for it."""
    entries = _entries(text)
    shared = entries[method][1]
    copy = yaml.safe_dump(_value(text, method), default_flow_style=True, sort_keys=False, width=_WIDTH).strip()
    for key, held in reversed(entries.values()):
        if held is shared and _is_alias(key, held):
            start, end = _place(text, key, held)
            text = text[:start] + copy + text[end:]
    return text


def _value(text: str, method: str) -> object:
    raw = read_yaml(text)
    assert isinstance(raw, dict)
    return raw["methods"][method]


def _entries(text: str) -> dict[str, tuple[Node, MappingNode]]:
    """Key and entry of every method, by name, in the order of the text."""
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, MappingNode)
    methods = next(held for key, held in root.value if key.value == "methods")
    return {key.value: (key, held) for key, held in methods.value}


def _is_alias(key: Node, held: Node) -> bool:
    """Whether a value is named where it stands: it was written before its key."""
    return bool(held.start_mark.index < key.end_mark.index)


def _place(text: str, key: Node, held: Node) -> tuple[int, int]:
    """Where a value stands.

    Raises:
        ValueError: an alias is written in a way that is not known.
    """
    if not _is_alias(key, held):
        return held.start_mark.index, held.end_mark.index
    found = _ALIAS.match(text, key.end_mark.index)
    if found is None:
        raise ValueError(f"no alias behind {key.value}")
    return found.span(1)


def _plain(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
