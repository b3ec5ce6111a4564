"""JSON files between stages as frozen models: each has one, in the module that reads and writes the file."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, ValidationError

from ramer.config import Section, fault_lines
from ramer.errors import StaleError, raise_if_scarce
from ramer.files import read_json, write_json


class Record(Section):
    """The content of one JSON file.

    Attributes:
        format: of the file; files that were written before there were formats have none.
        later: keys that the first versions of the file lack.
    """

    # What has no value (a score of no rows) is NaN until it is written, as null.
    model_config = ConfigDict(allow_inf_nan=True)

    format: Literal[1] = 1
    later: ClassVar[frozenset[str]] = frozenset({"format"})

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a file.

        Raises:
            StaleError: no such file, torn, or a key is unknown, missing or has no value that it may have.
        """
        try:
            raw = read_json(path)
        except FileNotFoundError:
            raise StaleError(f"{path}: no such file", path) from None
        except (OSError, ValueError, RecursionError) as error:
            raise_if_scarce(error)
            raise StaleError(f"{path}: not valid JSON ({' '.join(str(error).split())})", path) from None
        if not isinstance(raw, dict):
            raise StaleError(f"{path}: expected a mapping, got {type(raw).__name__}", path)
        lacking = [key for key in cls.model_fields if key not in raw and key not in cls.later]
        if lacking:
            raise StaleError(f"{path}: expected the keys {', '.join(lacking)}", path)
        try:
            return cls.model_validate(raw, strict=False)
        except ValidationError as error:
            raise StaleError(fault_lines(error, str(path)), path) from None

    def write(self, path: Path) -> None:
        """Write the record as sorted JSON, whole or not at all."""
        write_json(path, self.model_dump())
