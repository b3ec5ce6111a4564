"""What a module imports and reads, found by parsing the source: nothing is imported."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ramer", "stages")


def import_closure(*sources: str, root: Path = ROOT) -> set[str]:
    """Project files that these files import, directly or through one another, themselves included.

    Imports inside functions count; those under ``if TYPE_CHECKING`` do not. A package's ``__init__.py`` that holds
    nothing but its docstring and names like ``__version__`` cannot change a result and is left out.
    """
    waiting, found = list(sources), set()
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            waiting += _imported_files(root / source, root)
    return {source for source in found if not _is_marker(root / source)}


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _imported_files(path: Path, root: Path) -> set[str]:
    package = path.relative_to(root).parent.parts
    names: set[str] = set()
    for node in _runtime_nodes(_parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return {file for name in names if name.split(".")[0] in PACKAGES for file in _files_of(name, root)}


def _runtime_nodes(tree: ast.AST) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        nodes += [child, *_runtime_nodes(child)]
    return nodes


def _files_of(name: str, root: Path) -> set[str]:
    """The file of a dotted name, if it is a module, and the ``__init__.py`` of every package above it."""
    parts = name.split(".")
    candidates = [Path(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)] + [Path(*parts).with_suffix(".py")]
    return {candidate.as_posix() for candidate in candidates if (root / candidate).is_file()}


def _is_marker(path: Path) -> bool:
    if path.name != "__init__.py":
        return False
    return all(
        (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant))
        for node in _parse(path).body
    )


def attributes_read(name: str, source: str, closure: set[str], root: Path = ROOT) -> set[str]:
    """Attributes of the variable ``name`` read in ``source`` and in what it uses of the files in ``closure``.

    Functions and classes are found by their names alone, so a little too much may be found. Methods of the pipeline,
    which are found by their type, count as used.
    """
    statements = [node for file in sorted(closure | {source}) for node in _parse(root / file).body]
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
        return {node.id}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id != "self":
        return {node.attr}
    return set()
