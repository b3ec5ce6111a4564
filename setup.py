"""Puts what a project consists of beside the package into the wheel; all else is in pyproject.toml."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
LISTED = ROOT / "ramer" / "pipeline" / "new_project.py"


def constant(name: str) -> str | tuple[str, ...]:
    """A constant of the module that copies these files into a project, which cannot be imported here."""
    for node in ast.parse(LISTED.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"{LISTED}: {name}")


def carried_files() -> list[str]:
    """Every file, relative to the repository."""
    left_out, files = (*constant("BYTECODE"), str(constant("DRAWN"))), []
    for name in constant("COPIED"):
        path = ROOT / name
        found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        listed = [p.relative_to(ROOT) for p in found]
        kept = [p for p in listed if not any(fnmatch(part, pattern) for part in p.parts for pattern in left_out)]
        if not kept:
            raise FileNotFoundError(path)
        files += [p.as_posix() for p in kept]
    return files


class BuildWithProject(build_py):
    """Copies the files into the package; an editable install finds them where they are."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, to in self._places().items():
                Path(to).parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(source, to)

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *carried_files()]

    def get_output_mapping(self) -> dict[str, str]:
        return super().get_output_mapping() | {to: source for source, to in self._places().items()}

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self._places().values()]

    def _places(self) -> dict[str, str]:
        if self.editable_mode:
            return {}
        folder = Path(self.build_lib, "ramer", str(constant("CARRIED")))
        return {name: str(folder / name) for name in carried_files()}


setup(cmdclass={"build_py": BuildWithProject})
