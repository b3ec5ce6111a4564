"""Errors that a user can act on: one clear line per fault, never a traceback."""

from __future__ import annotations

from collections.abc import Iterable


class RamerError(Exception):
    """A fault in what the user gave. ``faults`` holds one line per fault."""

    def __init__(self, faults: str | Iterable[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type[RamerError], tuple[list[str]]]:
        return type(self), (self.faults,)


class ConfigError(RamerError):
    """A key of ``params.yaml`` is unknown, ill-typed or out of range."""


class CorpusError(RamerError):
    """A corpus cannot be used; each fault names file, row and field."""


class RetrievalError(RamerError):
    """An index, its states or a query do not fit each other."""


class ModelError(RamerError):
    """A saved model cannot be loaded or does not fit its input."""
