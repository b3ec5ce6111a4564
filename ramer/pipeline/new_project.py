"""A new project: the pipeline's definition, its parameters and its code, in a git repository of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ramer.errors import RamerError

PACKAGE = Path(__file__).resolve().parents[1]
# What a wheel carries of the repository beside the package, and where. setup.py copies it there.
CARRIED = "carried"
COPIED = (
    "params.yaml",
    "dvc.yaml",
    "presets",
    "stages",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
)
# What Python and `dvc plots` write beside them, by pattern. setup.py leaves the same out of the wheel.
BYTECODE = ("__pycache__", "*.pyc")
DRAWN = "*.html"
_UNFINISHED = ".ramer-init"


def carried() -> Path:
    """The folder that holds what a project consists of: inside of an installed package, else the repository.

    Raises:
        RamerError: the package was built without it.
    """
    for folder in (PACKAGE / CARRIED, PACKAGE.parent):
        if all((folder / name).exists() for name in COPIED):
            return folder
    raise RamerError(f"{PACKAGE}: installed without the pipeline's files; install a wheel built by `pip wheel .`")


def make_project(folder: Path) -> None:
    """Write a project into a folder that is absent, empty or a git repository without any file.

    Its code is a copy: what a result follows from is in its repository, and may be changed there. All is written or
    nothing but an empty git repository, which is made where there is none; no commit.

    Raises:
        RamerError: the folder holds something, git is not there, or it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise RamerError(f"{folder}: a file, expected a folder that is empty or not there yet")
    held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if others := [name for name in held if name not in (".git", _UNFINISHED)]:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise RamerError(f"{folder}: holds {others[0]}{more}, expected an empty folder or an empty git repository")
    if ".git" not in held and shutil.which("git") is None:
        raise RamerError("git: not found; a project is a git repository, because experiments are commits")
    source, unfinished = carried(), folder / _UNFINISHED
    if ".git" not in held:
        done = subprocess.run(["git", "init", "-q", str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RamerError(f"{folder}: git init failed: {' '.join(done.stderr.split())[:200]}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for name in COPIED:
            _copy(source / name, unfinished / name)
        _copy(PACKAGE, unfinished / PACKAGE.name)
        _move_up(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignored = shutil.ignore_patterns(*BYTECODE, DRAWN) if source != PACKAGE else _package_only
        shutil.copytree(source, to, ignore=ignored)
    else:
        shutil.copyfile(source, to)


def _package_only(folder: str, names: list[str]) -> set[str]:
    """Of the package itself: what was not written by Python, and not what a wheel carries beside it."""
    beside = {CARRIED} if Path(folder) == PACKAGE else set()
    return beside.intersection(names) | shutil.ignore_patterns(*BYTECODE)(folder, names)


def _move_up(unfinished: Path, folder: Path) -> None:
    """Move everything one level up; what was moved goes again if something cannot be."""
    names = sorted(path.name for path in unfinished.iterdir())
    try:
        for name in names:
            (unfinished / name).rename(folder / name)
    except OSError:
        for name in names:
            shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink(missing_ok=True)
        raise
