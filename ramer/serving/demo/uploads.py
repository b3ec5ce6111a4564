"""Files that come with a request: whether one is taken, and where it lies until it was read."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request
from starlette.exceptions import HTTPException

from ramer.data.media_kinds import MEDIA_SUFFIXES
from ramer.errors import RamerError, in_one_line

CLIP_TYPE = "application/octet-stream"  # what other sites' pages cannot send
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def media_type(content_type: str) -> str:
    """A body's type without parameters, in lower case: types have none.

    Example:
        >>> media_type("Application/JSON; charset=utf-8")
        'application/json'
    """
    return content_type.partition(";")[0].strip().lower()


def is_clip(content_type: str) -> bool:
    """Whether a request says that its body is a clip."""
    return media_type(content_type) == CLIP_TYPE


def clip_suffix(request: Request, name: str) -> str:
    """The ending of a dropped file's name, of which nothing else is kept; empty for a transcript alone.

    Raises:
        RamerError: the body is of another type, or the name of no kind of clip.
    """
    if not is_clip(request.headers.get("content-type", "")):
        raise RamerError(f"expected a clip as {CLIP_TYPE}")
    suffix = Path(name).suffix.lower()
    if name and suffix not in MEDIA_SUFFIXES:
        raise RamerError(f"{name}: unknown kind of file, expected {', '.join(MEDIA_SUFFIXES)}")
    return suffix


@contextlib.asynccontextmanager
async def received(request: Request, name: str, suffix: str, prefix: str) -> AsyncIterator[Path | None]:
    """The body of a request as a file under a name of our own, gone after the context; None without a suffix.

    Raises:
        HTTPException: it cannot be written: 507 for want of space, else 500.
    """
    if not suffix:
        yield None
        return
    stream = request.stream()
    with contextlib.ExitStack() as stack:
        try:
            kept = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
            path = Path(stack.enter_context(kept), f"clip{suffix}")
            with path.open("wb") as file:
                async for block in stream:
                    file.write(block)
        except OSError as error:
            refusal = _refusal(name, error)
            stack.close()  # whoever else needs the space does not wait for this sender
            async for _ in stream:  # who still sends would not read the answer
                pass
            raise refusal from None
        yield path


def _refusal(name: str, error: OSError) -> HTTPException:
    """By the name that the file was sent with, not by where it would lie here."""
    if isinstance(error, FileNotFoundError):  # tempfile looked for a folder, and lost why none can be written
        line = "no folder for temporary files can be written; free some space, or name another one in TMPDIR"
        return HTTPException(507, f"{name}: {line}")
    reason = in_one_line(OSError(error.errno, error.strerror or str(error)))
    return HTTPException(507 if error.errno in NO_SPACE else 500, f"{name}: {reason}")
