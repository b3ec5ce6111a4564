"""Digests of files, kept beside them: a bit that has changed since they were written is noticed when they are read.

A description that holds digests of other files is sealed: it holds a digest of itself, too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ramer.config import Section
from ramer.errors import ModelError, raise_if_scarce
from ramer.files import atomic_directory, atomic_file, digest_file, json_text

DIGESTS_FILE = "digests.json"
MOST_NAMED = 5  # damaged files named in one message
_KEY = "digest"
_SEAL = re.compile(rb'(?<=^  "digest": ")[0-9a-f]{64}(?="[,\n])', re.MULTILINE)


class Digests(Section):
    """``digests.json``, which a stage leaves in its folder.

    Attributes:
        format: of this file.
        files: SHA-256 of every other file there, by its path in the folder.
    """

    format: Literal[1] = 1
    files: dict[str, str]


@contextmanager
def sealed_directory(path: str | Path) -> Iterator[Path]:
    """``atomic_directory`` that leaves the digests of what the body wrote."""
    with atomic_directory(path) as folder:
        yield folder
        written = Digests(files=digest_files(folder, [folder]))
        write_sealed(folder / DIGESTS_FILE, written.model_dump(mode="json"))


def digest_files(folder: Path, parts: Iterable[Path]) -> dict[str, str]:
    """Digest of every file in ``parts`` (files, or folders with all below them), by its path in ``folder``."""
    found = (f for part in parts for f in (sorted(part.rglob("*")) if part.is_dir() else [part]) if f.is_file())
    return {file.relative_to(folder).as_posix(): digest_file(file) for file in found}


def contents(folder: Path) -> dict[str, str]:
    """Digests by which a folder's content is known: that of its digests where it has some, else those of all files."""
    sealed = folder / DIGESTS_FILE
    return digest_files(folder, [sealed if sealed.is_file() else folder])


def check_files(folder: Path, digests: Mapping[str, str], source: Path) -> None:
    """Refuse files that are not those whose digests are given; files are read in pieces, whatever their size.

    Args:
        digests: by path in ``folder``. source: the file that they stand in, for messages.

    Raises:
        ModelError: a file is not there, no plain file, or its content has changed; one line per file.
    """
    faults = [fault for name, digest in digests.items() if (fault := _fault(folder / name, digest, source))]
    if len(faults) > MOST_NAMED:
        faults[MOST_NAMED:] = [f"{folder}: {len(faults) - MOST_NAMED} more such files"]
    if faults:
        raise ModelError(faults)


def check_folder(folder: Path, names: Iterable[str]) -> bool:
    """Refuse named files of a stage's folder that have changed since it wrote them.

    Returns:
        Whether there are digests to compare with; there are none where an earlier version wrote the folder.

    Raises:
        ModelError: as ``check_files``, or the digests are damaged or lack a file.
    """
    path = folder / DIGESTS_FILE
    if not path.exists():
        return False
    try:
        known = Digests.model_validate(read_sealed(path)).files
    except ValidationError:
        raise ModelError(f"{path}: not the digests of a folder; make it again") from None
    wanted = list(names)
    unknown = [f"{path}: says nothing of {name}" for name in wanted if name not in known]
    if unknown:
        raise ModelError(unknown)
    check_files(folder, {name: known[name] for name in wanted}, path)
    return True


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write sorted JSON that holds its own digest under ``digest``."""
    unsealed = json_text({**value, _KEY: "0" * 64}).encode()
    sealed, places = _SEAL.subn(_digest(unsealed), unsealed)
    if places != 1:
        raise ValueError(f"{path}: expected one place for the digest, got {places}")
    with atomic_file(path) as temporary:
        temporary.write_bytes(sealed)


def read_sealed(path: Path, verify: bool = True) -> dict[str, Any]:
    """What ``write_sealed`` wrote.

    Raises:
        ModelError: it cannot be read, or (with ``verify``) a bit of it has changed.
    """
    try:
        content = path.read_bytes()
        value = json.loads(content)
        said = value.pop(_KEY)
    except OSError as error:
        raise_if_scarce(error)
        raise ModelError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path}: torn or changed ({type(error).__name__}); make it again") from None
    unsealed, places = _SEAL.subn(b"0" * 64, content)
    if verify and (places != 1 or str(said).encode() != _digest(unsealed)):
        raise ModelError(f"{path}: damaged or edited: it does not have the digest that it names; make it again")
    return dict(value)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _fault(path: Path, digest: str, source: Path) -> str | None:
    if not path.is_file():  # nor a pipe, which would be waited for
        return f"{path}: no such file, though {source.name} names it; make the model again"
    try:
        same = digest_file(path) == digest
    except OSError as error:
        raise_if_scarce(error)
        return f"{path}: {error.strerror or error}"
    return None if same else f"{path}: damaged: not the content that {source.name} describes; make it again"
