"""A checkout's Python files as syntax trees: which module imports which, and on which floor it stands."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tarfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGES = ("ramer", "stages")
_PROJECT_FILES = ("pyproject.toml", "dvc.yaml")


@dataclass(frozen=True)
class Module:
    """One file of the code.

    Attributes:
        name: as it is imported.
        path: relative to the checkout.
        text: its source.
        package: whether it is a package's ``__init__.py``.
    """

    name: str
    path: str
    text: str
    package: bool

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)


@dataclass(frozen=True)
class Checkout:
    """The code and the project files of one state of the repository, by path."""

    files: dict[str, str]

    @cached_property
    def modules(self) -> dict[str, Module]:
        """Modules of ``ramer`` and ``stages`` by name."""
        found = {}
        for path, text in sorted(self.files.items()):
            if path.endswith(".py") and path.split("/")[0] in PACKAGES:
                parts = path.removesuffix(".py").split("/")
                package = parts[-1] == "__init__"
                name = ".".join(parts[:-1] if package else parts)
                found[name] = Module(name, path, text, package)
        return found

    @cached_property
    def edges(self) -> set[tuple[str, str]]:
        """Pairs (module, module that it imports), wherever in the file the import stands."""
        return {
            (module.name, target)
            for module in self.modules.values()
            for target in imported(module, self.modules)
            if target != module.name
        }

    @cached_property
    def layers(self) -> list[list[str]]:
        """Floors of the import contracts from the top, each the names of its rooms.

        A contract with a container lists the floors of that package, which stands at their place in another one's.
        """
        contracts = tomllib.loads(self.files["pyproject.toml"])["tool"]["importlinter"]["contracts"]
        whole: list[list[str]] = []
        inside: dict[str, list[list[str]]] = {}
        for contract in (c for c in contracts if c["type"] == "layers"):
            floors = [re.findall(r"[\w.]+", layer) for layer in contract["layers"]]
            for container in contract.get("containers", []):
                inside[container] = [[f"{container}.{room}" for room in floor] for floor in floors]
            if "containers" not in contract:
                whole += floors
        return [floor for outer in whole for floor in (inside.get(outer[0], [outer]) if len(outer) == 1 else [outer])]

    def room(self, module: str) -> str | None:
        """The room of a layer that holds a module, None where it has none."""
        rooms = [room for floor in self.layers for room in floor if module == room or module.startswith(f"{room}.")]
        return max(rooms, key=len, default=None)


def read_folder(root: Path) -> Checkout:
    """The working tree as it lies there, tracked or not."""
    paths = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    paths += [root / name for name in _PROJECT_FILES if (root / name).is_file()]
    return Checkout({path.relative_to(root).as_posix(): path.read_text("utf-8") for path in paths})


def read_revision(root: Path, revision: str) -> Checkout:
    """A commit, branch or tag of the repository at ``root``; nothing is checked out.

    Raises:
        SystemExit: git does not know the revision.
    """
    git = ["git", "-C", str(root)]
    listed = subprocess.run(
        [*git, "ls-tree", "--name-only", revision], capture_output=True, text=True, check=False
    ).stdout.split()
    wanted = [name for name in (*PACKAGES, *_PROJECT_FILES) if name in listed]
    if not wanted:
        raise SystemExit(f"{revision}: expected a revision of this repository")
    archive = subprocess.run([*git, "archive", revision, *wanted], capture_output=True, check=True).stdout
    return Checkout(dict(_texts(archive)))


def _texts(archive: bytes) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            held = tar.extractfile(member) if member.name.endswith((".py", *_PROJECT_FILES)) else None
            if held is not None:
                yield member.name, held.read().decode("utf-8")


def imported(module: Module, known: Iterable[str]) -> set[str]:
    """Modules among ``known`` that a module imports; a name taken from a package counts as its module if it is one."""
    known = set(known)
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            for alias in node.names:
                below = f"{source}.{alias.name}"
                found |= {below if below in known else source} & known
    return found


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    kept = parts[: len(parts) - node.level + module.package]
    return ".".join([*kept, *([node.module] if node.module else [])])
