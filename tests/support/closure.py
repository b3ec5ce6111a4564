"""What a stage reads of its parameters, found by parsing the source: nothing is imported."""

from __future__ import annotations

import ast
from pathlib import Path

from stages._code import _parse

ROOT = Path(__file__).resolve().parents[2]


def attributes_read(name: str, source: str, closure: set[str], root: Path = ROOT) -> set[str]:
    """Attributes of the variable ``name`` read in ``source`` and in what it uses of the files in ``closure``.

    Functions and classes are found by their names alone, so a little too much may be found. Methods of the pipeline,
    which are found by their type, count as used.
    """
    statements = [
        node for file in sorted(closure | {source}) if file.endswith(".py") for node in _parse(root / file).body
    ]
    functions = [node for node in statements if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    definitions: dict[str, list[ast.AST]] = {}
    for function in functions:
        definitions.setdefault(function.name, []).append(function)
    entered = [source, *(file for file in closure if file.startswith("ramer/methods/"))]
    waiting: list[ast.AST] = [_parse(root / file) for file in entered]
    waiting += [node for node in statements if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ImportFrom)]
    found: set[str] = set()
    used: set[str] = set()
    while waiting:
        for node in ast.walk(waiting.pop()):
            new = _names(node) - used
            used |= new
            waiting += [definition for n in new for definition in definitions.get(n, [])]
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
                found.add(node.attr)
    return found


def _names(node: ast.AST) -> set[str]:
    """Names through which a node may reach a function: its own, and what it takes from a module."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id != "self":
        return {node.attr}
    return set()
