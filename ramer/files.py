"""Deterministic, whole-or-nothing files: the same content always gives the same bytes."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ramer.targets import CUT, file_target, folder_target, hidden_name

if TYPE_CHECKING:
    import pandas as pd

_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)@(?P<host>[A-Za-z0-9-]*)\.([a-z0-9_]+)(?P<old>\.old)?")
_FILES_TO_CLEAN_UP = 6  # two for each level of folders


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling directory that replaces ``path`` only if the body succeeds.

    What was there is moved aside first and deleted last: at no moment is there neither the old nor the new on disk.
    A link stays, and what it leads to is replaced.

    Raises:
        OSError: also where something else than a folder is there.
    """
    target = folder_target(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:  # to open files while cleaning up, should the body have used up what a process may have
        for _ in range(_FILES_TO_CLEAN_UP):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        temporary = _new_folder_beside(target)
        spare = opened.pop_all()
    aside = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        if target.exists():
            target.rename(aside)
        temporary.rename(target)
    except OSError as error:
        if str(error.filename).startswith(f"{temporary}/"):  # a name that nobody has given
            error.filename = f"{target}/{str(error.filename).removeprefix(f'{temporary}/')}"
        raise
    finally:
        spare.close()
        if aside.exists() and not target.exists():
            aside.rename(target)
        for left in (temporary, aside):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling path that replaces ``path`` only if the body succeeds.

    A link stays, and what it leads to is replaced.

    Raises:
        OSError: also where something else than a regular file is there.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_file(folder / "note.txt") as temporary:
        ...     _ = temporary.write_text("whole or not at all")
        >>> [path.name for path in folder.iterdir()]
        ['note.txt']
    """
    target = file_target(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(hidden_name(target.name, _owner(), "tmp"))
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        if error.errno is None:  # NumPy's own, in words
            raise OSError(f"{target}: {error}") from None
        if error.filename in (None, str(temporary)):  # a full disk does not say where
            error.filename = str(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def json_text(value: object) -> str:
    """Sorted, indented JSON; non-finite numbers become null (JSON has none)."""
    return json.dumps(plain(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def sweep(folder: Path) -> None:
    """Remove what ``atomic_directory`` and ``atomic_file`` left in a folder when their process was killed.

    What a process of another machine, or one that still runs, is writing there stays. The old content of a path that
    was lost between two names gets its name back.
    """
    for path in folder.glob(".*"):
        found = _LEFT.fullmatch(path.name)
        if found is None or found["host"] != _host() or _runs(int(found["process"])):
            continue
        target = path.with_name(found["name"])
        if found["old"] and not target.exists():
            if not target.name.endswith(CUT):  # else its whole name is not known
                path.rename(target)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _new_folder_beside(target: Path) -> Path:
    prefix = hidden_name(target.name, _owner(), "")
    try:
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    except OSError as error:
        error.filename = str(target)  # not a name that nobody has given
        raise
    made.chmod(0o755)
    return made


def _owner() -> str:
    return f"{os.getpid()}@{_host()}"


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and belongs to somebody else
        return True
    return True


def write_json(path: str | Path, value: object) -> None:
    """Write ``json_text``."""
    with atomic_file(path) as temporary:
        temporary.write_text(json_text(value), "utf-8")


def read_json(path: str | Path) -> Any:
    return json.loads(Path(path).read_text("utf-8"))


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a parquet table without an index."""
    with atomic_file(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")


def read_table(path: str | Path) -> pd.DataFrame:
    import pandas as pd  # here, for the stages that do without it

    return pd.read_parquet(path)


def write_lines(
    path: str | Path, columns: Sequence[str], lines: Iterable[Mapping[str, str | float]], numbers: str = ""
) -> None:
    """Write a comma-separated line of each mapping below the names of the columns, to the bytes of pandas.

    Args:
        numbers: how they are formatted, as ``.9g``; whole, if empty. NaN leaves its place empty.
    """

    def text(value: str | float) -> str:
        if isinstance(value, str):
            return value
        return "" if value != value else format(value, numbers)

    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = ([text(line[column]) for column in columns] for line in lines)
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def digest_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_strings(strings: Iterator[str] | list[str] | np.ndarray) -> str:
    """SHA-256 over strings and their order.

    Example:
        >>> digest_strings(["clip1", "clip2"]) == digest_strings(["clip2", "clip1"])
        False
    """
    sha = hashlib.sha256()
    for text in strings:
        sha.update(str(text).encode())
        sha.update(b"\0")
    return sha.hexdigest()


@singledispatch
def plain(value: object) -> object:
    """A value as JSON has it."""
    return value


@plain.register(Mapping)
def _of_mapping(value: Mapping[object, object]) -> object:
    return {str(k): plain(v) for k, v in value.items()}


@plain.register(list)
@plain.register(tuple)
def _of_sequence(value: Sequence[object]) -> object:
    return [plain(v) for v in value]


@plain.register(np.ndarray)
@plain.register(np.generic)
def _of_numpy(value: np.ndarray | np.generic) -> object:
    return plain(value.tolist())


@plain.register
def _of_float(value: float) -> object:
    return value if math.isfinite(value) else None


plain.register(Path, str)
