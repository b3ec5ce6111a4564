"""Which files a stage's result depends on, found by parsing the source: nothing is imported.

A stage depends on one small file that names the code it imports with its digests, instead of on thirty modules that
somebody has to list by hand: the list is never wrong, and DVC, whose cost grows with the number of dependencies,
stays fast with fifty stages.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from ramer.errors import RamerError
from ramer.files import atomic_directory, digest_file, write_json
from ramer.project import Project

PACKAGES = ("ramer", "stages")
# They word the faults of a stage that has failed, or tell what it takes and who ran it: no result follows from them.
ASIDE = frozenset(f"ramer/pipeline/{name}.py" for name in ("origin", "committed", "durations", "results_origin"))


def write_digests(project: Project) -> None:
    """Write ``<stage>.json`` for every stage and ``methods/<type>.json`` for every method: its files and their digests.

    The folder is replaced as a whole.
    """
    root = project.root
    stages = {path.stem: path for path in sorted((root / "stages").glob("[!_]*.py"))}
    methods = {f"methods/{path.stem}": path for path in sorted((root / "ramer" / "methods").glob("[!_]*.py"))}
    with atomic_directory(project.code) as folder:
        for name, path in (stages | methods).items():
            files = import_closure(path.relative_to(root).as_posix(), root=root)
            write_json(folder / f"{name}.json", {file: digest_file(root / file) for file in files})


def import_closure(*sources: str, root: Path) -> set[str]:
    """Project files that these files import, directly or through one another, themselves included.

    Imports inside functions count; those under ``if TYPE_CHECKING`` do not. A package's ``__init__.py`` that holds
    nothing but its docstring, names like ``__version__`` and names that wait to be asked for cannot change a result
    and is left out.
    """
    waiting = list(sources)
    found: set[str] = set()
    while waiting:
        source = waiting.pop()
        if source not in found | ASIDE:
            found.add(source)
            waiting += _imported_files(root / source, root)
    found = {source for source in found if not _is_marker(root / source)}
    return found | {file for source in found for file in _data_beside(root / source, root)}


def _data_beside(path: Path, root: Path) -> set[str]:
    """What is no code in a module's folder: templates, which it may read."""
    beside = [p for p in path.parent.iterdir() if p.is_file() and not p.name.startswith((".", "py.typed"))]
    return {p.relative_to(root).as_posix() for p in beside if p.suffix not in (".py", ".pyc")}


@cache
def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text("utf-8"))
    except SyntaxError as error:
        raise RamerError(f"{path}: line {error.lineno}: {error.msg}") from None


def _imported_files(path: Path, root: Path) -> set[str]:
    found = _Imports(path.relative_to(root).parent.parts)
    found.visit(_parse(path))
    return {file for name in found.names if name.split(".")[0] in PACKAGES for file in _files_of(name, root)}


class _Imports(ast.NodeVisitor):
    """Names that a module imports when it runs.

    Args:
        package: parts of the name of the package that holds it.
    """

    def __init__(self, package: tuple[str, ...]) -> None:
        self.package = package
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if not _checks_types(node):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self.package[: len(self.package) - node.level + 1] if node.level else ()
        base = ".".join([*above, *([node.module] if node.module else [])])
        self.names |= {base} | {f"{base}.{alias.name}" for alias in node.names}


def _checks_types(node: ast.If) -> bool:
    return "TYPE_CHECKING" in ast.dump(node.test)


def _files_of(name: str, root: Path) -> set[str]:
    """The file of a dotted name, if it is a module, and the ``__init__.py`` of every package above it."""
    parts = name.split(".")
    candidates = [Path(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)] + [Path(*parts).with_suffix(".py")]
    return {candidate.as_posix() for candidate in candidates if (root / candidate).is_file()}


def _is_marker(path: Path) -> bool:
    if path.name != "__init__.py":
        return False
    return all(_says_nothing(node) for node in _parse(path).body)


def _says_nothing(node: ast.stmt) -> bool:
    """A docstring, a constant, or a name that is imported only when somebody asks the package for it."""
    match node:
        case ast.Expr(value=value) | ast.Assign(value=value):
            return isinstance(value, ast.Constant | ast.List)
        case ast.Import(names=names):
            return not {alias.name.split(".")[0] for alias in names} & set(PACKAGES)
        case ast.ImportFrom(module=module, level=0):
            return str(module).split(".")[0] not in PACKAGES
        case ast.FunctionDef(name=name):
            return name == "__getattr__"
        case ast.If():
            return _checks_types(node)
    return False
