"""What a run has written so far, line by line, so that a killed run can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TypedDict

from ramer.data.names import name_problem
from ramer.extraction.manifest_record import STATUSES, Entry
from ramer.files import atomic_file
from ramer.modalities import MODALITIES


class Line(TypedDict):
    """What became of one modality of a clip.

    Attributes:
        folder: first part of the name of the folder that holds it.
        fingerprint: of the settings that made it.
        dim: length of the modality's vectors, None where none has been made yet.
        entry: what the manifest is to say.
    """

    clip: str
    modality: str
    folder: str | None
    fingerprint: str
    dim: int | None
    entry: Entry


class Journal:
    """``journal.jsonl`` of a folder of features.

    Args:
        path: need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def read(self) -> list[Line]:
        """The newest line of each file: older ones speak of what has been replaced since."""
        newest: dict[tuple[str, str, str | None], Line] = {}
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                try:
                    line: Line = json.loads(text)
                    clip, modality = line["clip"], line["modality"]
                    known = line["entry"]["status"] in STATUSES and {"fingerprint", "dim"} <= line.keys()
                    if known and modality in MODALITIES and not name_problem(clip):
                        newest[modality, clip, line["folder"]] = line
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue  # the line that the killed run was writing
        return list(newest.values())

    def begin(self, kept: Iterable[Line]) -> None:
        """Keep only what still holds, and open for more: a line about a replaced file would take the new file for the
        old one."""
        with atomic_file(self.path) as temporary:
            temporary.write_text("".join(map(_text, kept)), "utf-8")
        self._file = self.path.open("a", encoding="utf-8")

    def add(self, line: Line) -> None:
        """Write a line that outlives the process; only after ``begin``."""
        if self._file is None:
            raise ValueError(f"{self.path}: nothing was begun")
        self._file.write(_text(line))
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _text(line: Line) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"
