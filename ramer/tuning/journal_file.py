"""The file behind a journal of Optuna: a last line that was cut off costs that line alone.

Optuna appends to a line that a full disk or a killed process has cut, after which nobody can read the file.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from ramer.errors import ConfigError

log = logging.getLogger(__name__)

_FIRST = b'{"op_code":'  # of every line
_BLOCK = 1 << 16


class JournalFile(JournalFileBackend):
    """Optuna's journal file, whose lines are whole.

    Raises:
        ConfigError: what is there is no journal.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._turn = path, JournalFileSymlinkLock(str(path))
        super().__init__(str(path), self._turn)
        with self._held(), path.open("r+b") as file:
            start = file.read(len(_FIRST))
            if not _FIRST.startswith(start):
                raise ConfigError(f"{path}: not a journal of Optuna (its first line starts with {start!r})")
            self._cut_torn_line(file)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines, whole or not at all."""
        lines = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in logs)
        with self._held(), self._path.open("r+b", buffering=0) as file:
            end = self._cut_torn_line(file)
            try:
                _write_all(file, lines.encode())
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The lines from a number on.

        Raises:
            ConfigError: one of them is damaged.
        """
        try:
            yield from super().read_logs(log_number_from)
        except ValueError as error:
            raise ConfigError(
                f"{self._path}: not a journal of Optuna, or damaged ({type(error).__name__}: {error})"
            ) from None

    @contextmanager
    def _held(self) -> Iterator[None]:
        self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    def _cut_torn_line(self, file: BinaryIO) -> int:
        """Cut what follows the last newline; returns where the file ends then. To be called under the lock."""
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                end = start + place + 1
                break
            end = start
        if end < size:
            log.warning("%s: the last line was cut off: its %d bytes are left out", self._path, size - end)
            file.truncate(end)
        file.seek(end)
        return end


def _write_all(file: BinaryIO, content: bytes) -> None:
    """As a file without a buffer may write a part alone."""
    while content:
        content = content[file.write(content) :]
