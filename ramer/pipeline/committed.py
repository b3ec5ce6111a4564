"""What the last commit says of a file that DVC rewrites, and how to get it back."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ramer.errors import ConfigError
from ramer.project import Project
from ramer.yaml12 import read_yaml

_KEY = re.compile(r"([\w.]+): ")
_NOTHING = object()


def last_commit_of(path: Path) -> str | None:
    """A file's text in the last commit; None where there is no commit, or it is not in it."""
    asked = ["git", "-C", str(path.parent), "show", f"HEAD:./{path.name}"]
    try:
        done = subprocess.run(asked, capture_output=True, check=False)
        return done.stdout.decode() if done.returncode == 0 else None
    except (OSError, UnicodeDecodeError):
        return None


def check_lock(project: Project) -> None:
    """Refuse a lock file that was cut as it was written: DVC writes it in place, and stops without a way out.

    Raises:
        ConfigError: with the command that restores it.
    """
    lock = project.lock
    if not lock.exists():
        return
    fault = _lock_fault(lock)
    if fault is None:
        return
    restored = last_commit_of(lock) is not None
    command = f"git checkout {lock}" if restored else f"rm {lock}"
    raise ConfigError(f"{lock}: {fault}; `{command}` restores it, and what has been computed stays in DVC's cache")


def _lock_fault(lock: Path) -> str | None:
    try:
        text = lock.read_text("utf-8")
        value = read_yaml(text)
    except (OSError, ValueError) as error:
        return f"cannot be read ({' '.join(str(error).split())[:120]})"
    if not text.strip():
        return "empty"
    stages = value.get("stages") if isinstance(value, dict) else None
    if not isinstance(stages, dict) or not text.endswith("\n"):
        return "cut off in the middle"
    whole = all(isinstance(entry, dict) and "cmd" in entry and _outs_whole(entry) for entry in stages.values())
    return None if whole else "cut off in the middle"


def _outs_whole(entry: Mapping[str, Any]) -> bool:
    """Whether every file of an entry has what DVC writes of it."""
    files = [*(entry.get("deps") or []), *(entry.get("outs") or [])]
    return all(isinstance(file, dict) and "path" in file and len(file) > 1 for file in files)


def with_way_back(faults: Iterable[str], project: Project, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Faults, those of parameters with the value that the last commit has: one that was set by ``-S`` stays otherwise.

    Nothing is added in a temporary copy (``dvc exp run --temp``), which goes away by itself, nor where the parameters
    are those of the last commit.
    """
    given, own = list(faults), f"{project.params}: "
    main = environment.get("DVC_ROOT")
    committed = None if main and Path(main).resolve() != project.root.resolve() else last_commit_of(project.params)
    if committed is None:
        return given
    try:
        now, before = read_yaml(project.params.read_text("utf-8")), read_yaml(committed)
    except (OSError, ValueError):
        now, before = {}, None  # nothing can be said of single keys
    if now == before:
        return given
    return [f"{line}; {_way_back(line, now, before, project)}" if line.startswith(own) else line for line in given]


def _way_back(line: str, now: Any, before: Any, project: Project) -> str:
    named = _KEY.match(line.removeprefix(f"{project.params}: "))
    new, old = (_value(tree, named[1]) if named else _NOTHING for tree in (now, before))
    if new is _NOTHING or new == old or isinstance(old, dict):
        return _whole_file(project)
    way = "take it out" if old is _NOTHING else f"set it back to {'null' if old is None else old}, the committed value"
    return f"{way}, or {_whole_file(project)}"


def _whole_file(project: Project) -> str:
    return f"`git checkout {project.params}` takes back what is not committed"


def _value(tree: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return _NOTHING
        tree = tree[part]
    return tree
