"""Errors that a user can act on: one clear line per fault, never a traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_ADVICE = {
    errno.ENOSPC: "free some space and run it again",
    errno.EDQUOT: "free some space and run it again",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "change who may use it, or choose another folder",
    errno.EMFILE: "raise the limit with `ulimit -n`",
    errno.ENFILE: "close other programs and run it again",
}
_MOST = 1000  # characters of a fault: a library may quote the whole of a damaged file
_KEPT_OF_END = 200
_MOST_FAULTS = 40  # lines of a refusal; a file of another kind may break every rule that there is
# What a file that is to be read has no part in.
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT)


class RamerError(Exception):
    """A fault in what the user gave.

    Attributes:
        faults: one line per fault, of bounded length.
        artifacts: by line, what must be made again; empty but for a ``StaleError``.

    Example:
        >>> RamerError(["a.csv: row 3: no label", "a.csv: row 9: no label"]).faults[1]
        'a.csv: row 9: no label'
    """

    def __init__(self, faults: str | Iterable[str]) -> None:
        self.faults = [_bounded(fault) for fault in ([faults] if isinstance(faults, str) else faults)]
        self.artifacts: dict[str, Path] = {}
        super().__init__("\n".join(few(self.faults)))

    def reworded(self, change: Callable[[str], str]) -> Self:
        """The same error with every fault in other words."""
        return type(self)(map(change, self.faults))

    def __reduce__(self) -> tuple[type[RamerError], tuple[object, ...]]:
        return type(self), (self.faults,)


class StaleError(RamerError):
    """What an earlier step wrote is absent, torn, or belongs to something else than what lies beside it.

    Args:
        faults: one line per fault.
        artifact: the file or folder that must be made again, of all lines or by line. Who makes it is not known here.
    """

    def __init__(self, faults: str | Iterable[str], artifact: Path | Mapping[str, Path]) -> None:
        super().__init__(faults)
        by_line = artifact if isinstance(artifact, Mapping) else dict.fromkeys(self.faults, artifact)
        self.artifacts = {_bounded(line): path for line, path in by_line.items()}

    def reworded(self, change: Callable[[str], str]) -> Self:
        """The same error with every fault in other words."""
        return type(self)(map(change, self.faults), {change(line): path for line, path in self.artifacts.items()})

    def __reduce__(self) -> tuple[type[RamerError], tuple[object, ...]]:
        return type(self), (self.faults, self.artifacts)

    @classmethod
    def of(cls, errors: Iterable[RamerError]) -> StaleError:
        """The faults of several errors as one."""
        held = list(errors)
        by_line = {line: path for error in held for line, path in error.artifacts.items()}
        return cls([line for error in held for line in error.faults], by_line)


class ConfigError(RamerError):
    """A key of ``params.yaml`` is unknown, ill-typed or out of range."""


class GpuError(ConfigError):
    """A GPU failed in the middle of work; whoever was to choose a device may go on without it."""


class CorpusError(RamerError):
    """A corpus cannot be used; each fault names file, row and field."""


class RetrievalError(RamerError):
    """An index, its states or a query do not fit each other."""


class ModelError(RamerError):
    """A saved model cannot be loaded or does not fit its input."""


class DivergedError(RamerError):
    """A training came to NaN or infinite numbers, of which no model is made."""


@contextmanager
def naming(trained: str) -> Iterator[None]:
    """Say before the lines of a training that diverges in the body what was trained."""
    try:
        yield
    except DivergedError as error:
        raise error.reworded(lambda line: f"{trained}: {line}") from None


def in_one_line(error: OSError) -> str:
    """What the system refuses, of which file, and what to do about it."""
    advice = _ADVICE.get(error.errno or 0)
    # NumPy counts what it could write of an array, and loses the reason.
    if error.errno is None and "requested and" in str(error):
        reason, advice = f"{error}: cannot be written whole", _ADVICE[errno.ENOSPC]
    else:
        reason = " ".join((error.strerror or str(error) or type(error).__name__).split())
    named = _bounded(f"{error.filename}: {reason}" if error.filename is not None else reason)
    return f"{named}; {advice}" if advice else named


def refusal_behind(error: BaseException) -> OSError | None:
    """What the system refused where that is the cause of an error, if only by the words that a library left of it.

    Example:
        >>> in_one_line(refusal_behind(ImportError("libx.so: cannot open shared object file: Too many open files")))
        'libx.so: cannot open shared object file: Too many open files; raise the limit with `ulimit -n`'
        >>> refusal_behind(ValueError("not a table"))
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _ADVICE:
            return cause
    for cause in _causes(error):
        if getattr(cause, "errno", None) is not None:
            continue  # a number says what it is; among its words is the name of a file, which may be any
        for number in _ADVICE:
            if os.strerror(number) in str(cause):
                return OSError(number, " ".join(str(cause).split()))
    return None


def raise_if_scarce(error: BaseException) -> None:
    """For whoever takes any error for damage of the file that it reads: no file was open to read, no space left.

    Raises:
        OSError: the cause of ``error``, if the system has too little of something.
    """
    refusal = refusal_behind(error)
    if refusal is not None and refusal.errno in _SCARCE:
        raise refusal from None


def few(lines: list[str]) -> list[str]:
    """As many lines of a refusal as are shown, the last of very many a count of the others."""
    shown = _MOST_FAULTS - 1
    return lines if len(lines) <= _MOST_FAULTS else [*lines[:shown], f"and {len(lines) - shown} more faults"]


def _bounded(fault: str) -> str:
    """A fault in one line, what is in the midst of a long one left out."""
    line = " ".join(part for part in map(str.strip, fault.splitlines()) if part)
    return line if len(line) <= _MOST else f"{line[: _MOST - _KEPT_OF_END - 3]} … {line[-_KEPT_OF_END:]}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
