"""YAML 1.2 with PyYAML, through its C parser where it is there.

PyYAML by itself reads YAML 1.1, in which ``off`` is false and ``1e-05``, as DVC writes numbers, is a string.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import TYPE_CHECKING

import yaml
from yaml.constructor import ConstructorError
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml import SafeLoader as _Base
else:
    from yaml import CSafeLoader as _Base

_DEEPEST = 64  # containers within each other
_MOST_DIGITS = 100
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(_Base):
    """Plain values; a key that stands twice is refused with its line."""

    def construct_mapping(self, node: Node, deep: bool = False) -> dict[Hashable, object]:
        if not isinstance(node, MappingNode):
            raise ConstructorError(None, None, "expected a mapping", node.start_mark)
        merged: dict[Hashable, object] = {}
        own: dict[Hashable, object] = {}
        lines: dict[Hashable, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged = self._merged(value_node) | merged
                continue
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise ConstructorError(None, None, "a key that is a list or a mapping", key_node.start_mark)
            if key in lines:
                raise ConstructorError(
                    None, None, f"the key {key!r} stands on line {lines[key]} too", key_node.start_mark
                )
            lines[key] = line
            own[key] = self.construct_object(value_node, deep=deep)
        return merged | own

    def _merged(self, node: Node) -> dict[Hashable, object]:
        """Mappings of ``<<``; of a list the first that has a key wins. Values, so that none is copied often."""
        parts = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[Hashable, object] = {}
        for part in parts:
            value = self.construct_object(part, deep=True)
            if not isinstance(value, dict):
                raise ConstructorError(None, None, "<< of what is no mapping", node.start_mark)
            merged = value | merged
        return merged

    def construct_int(self, node: ScalarNode) -> int:
        text = str(self.construct_scalar(node)).replace("_", "")
        if len(text) > _MOST_DIGITS:
            raise ConstructorError(None, None, f"a number of more than {_MOST_DIGITS} digits", node.start_mark)
        try:
            return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
        except ValueError:  # !!int written before what is none
            raise ConstructorError(None, None, f"{text[:20]!r} is no number", node.start_mark) from None


_Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1
# What a plain scalar is: the core schema of YAML 1.2, with the underscores in numbers that DVC's reader takes.
for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9](?:_?[0-9])*|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9](?:_?[0-9])*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_int)


def read_yaml(text: str) -> object:
    """The one document in ``text`` as dicts, lists, strings, numbers, booleans and None.

    Raises:
        ValueError: not YAML, a key that stands twice, or nested too deep; with line and column where they are known.
    """
    try:
        _check_nesting(text)
        value: object = yaml.load(text, _Loader)  # a safe loader with other numbers
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{' '.join(str(error.problem or error.context).split())}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    _check_depth(value, 0, set())
    return value


def _check_nesting(text: str) -> None:
    """Refuse what is nested so deep that the C parser would overflow its stack while it builds it."""
    depth = 0
    for event in yaml.parse(text, _Base):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ValueError(f"line {line}: nested deeper than {_DEEPEST}")


def _check_depth(value: object, depth: int, seen: set[tuple[int, int]]) -> None:
    """Refuse what is nested too deep or contains itself; what stands under several names is looked at once a depth."""
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST}")
    if isinstance(value, dict | list) and (id(value), depth) not in seen:
        seen.add((id(value), depth))
        for held in value.values() if isinstance(value, dict) else value:
            _check_depth(held, depth + 1, seen)
