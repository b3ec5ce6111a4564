"""States that an earlier run computed, taken over only where computing them again gives the same bytes.

``KeptStates`` are those of a run that has ended. A block is known by the digest of its raw features and of all else
that decides its states; what was computed for it is verified by a digest of its own. Rows that join the pool are then
all that an unchanged encoder is run on. ``UnfinishedStates`` are those of a run of the same recipe that was killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ramer.files import atomic_directory, read_json, write_json
from ramer.training.savepoints import Saved, Savepoint

logger = logging.getLogger(__name__)

PIECE_BYTES = 64 * 2**20  # of states, at most, in one savepoint
STATES, POSTERIORS = FILES = ("states.npy", "posteriors.npy")
_RECORD = "blocks.json"


class Noted(NamedTuple):
    """Digests of blocks, which are known by their first row.

    Attributes:
        inputs: of their features. outputs: of their states, by the encoder's digest.
    """

    inputs: dict[str, str]
    outputs: dict[str, dict[str, str]]


class KeptStates:
    """The blocks of an earlier run and a record of this one's.

    Args:
        folder: where ``keep`` left them, or nothing at all.
        recipe: all that decides states besides features and encoder: code, batch size, threads, device.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        self._folder, self._recipe = folder, recipe
        self._inputs: dict[str, str] = {}  # by block, which is known by its first row
        self._outputs: dict[str, dict[str, str]] = {}  # by the encoder's digest, then by block
        self._arrays: list[np.ndarray] = []
        self._before: dict[str, Any] = {}
        # Nothing there, or damaged: everything is computed.
        with contextlib.suppress(OSError, ValueError, EOFError, KeyError, TypeError, AttributeError):
            record = read_json(folder / _RECORD)
            self._arrays = [np.load(folder / name, mmap_mode="r") for name in FILES]
            known = record["recipe"] == recipe and all(record[key].keys() for key in ("places", "inputs", "outputs"))
            self._before = record if known else {}

    def take(self, rows: slice, raw: np.ndarray, encoder: str) -> tuple[np.ndarray, np.ndarray] | None:
        """States and posteriors of a block if the earlier run computed them from the same features, else None.

        Args:
            rows: of the block. raw: its features [n, dim]. encoder: its digest.
        """
        block = str(rows.start)
        if block not in self._inputs:
            self._inputs[block] = _digest(raw)
        outputs = self._before.get("outputs", {}).get(encoder, {})
        if block not in outputs or self._before["inputs"][block] != self._inputs[block]:
            return None
        place = self._before["places"][encoder]
        states, posteriors = (np.array(array[place, rows]) for array in self._arrays)
        return (states, posteriors) if _digest(states, posteriors) == outputs[block] else None

    def add(self, rows: slice, written: tuple[np.ndarray, np.ndarray], encoder: str) -> None:
        """Note what this run's states and posteriors of a block are."""
        self._outputs.setdefault(encoder, {})[str(rows.start)] = _digest(*written)

    def __reduce__(self) -> tuple[type[KeptStates], tuple[Path, str]]:
        """Another process opens the files itself."""
        return type(self), (self._folder, self._recipe)

    @property
    def noted(self) -> Noted:
        """What this process took and added, for another one to know."""
        return Noted(self._inputs, self._outputs)

    def note(self, other: Noted) -> None:
        """Know what another process took and added in this run."""
        self._inputs |= other.inputs
        self._outputs |= other.outputs

    def keep(self, written: Path, places: dict[str, int]) -> None:
        """Leave the files of ``written`` for the next run, as hard links where the disk has them.

        Args:
            places: position of every encoder's digest in the arrays.
        """
        with atomic_directory(self._folder) as folder:
            for name in FILES:
                try:
                    os.link(written / name, folder / name)
                except OSError:
                    shutil.copyfile(written / name, folder / name)
            record = {"recipe": self._recipe, "places": places, "inputs": self._inputs, "outputs": self._outputs}
            write_json(folder / _RECORD, record)


class UnfinishedStates:
    """The first rows of one replicate, from savepoints of consecutive rows.

    Args:
        savepoints: in their order.
        written: states and posteriors [rows, width] of the replicate, to be filled from the first row on.

    Attributes:
        rows: how many of the first rows a killed run had computed; they are filled.
    """

    def __init__(self, savepoints: Iterator[Savepoint], written: tuple[np.ndarray, np.ndarray]) -> None:
        self._savepoints, self._written = savepoints, written
        self.rows = 0
        self._next = next(savepoints)
        while (saved := self._next.read()) is not None and saved.values["start"] == self.rows:
            stop = saved.values["stop"]
            for name, array in zip(FILES, written, strict=True):
                array[self.rows : stop] = saved.arrays[name]
            self.rows = stop
            self._next = next(savepoints)
        if self.rows:
            logger.info("%s: resumed after %d rows", self._next.title, self.rows)
        self._saved = self.rows

    def reach(self, stop: int) -> None:
        """Note that all rows before ``stop`` are filled; save them when it is time."""
        finished = stop == len(self._written[0])
        if not (self._next.worth if finished else self._next.due):
            return
        most = max(1, PIECE_BYTES // sum(array[0].nbytes for array in self._written))
        for start in range(self._saved, stop, most):
            end = min(start + most, stop)
            arrays = {name: array[start:end] for name, array in zip(FILES, self._written, strict=True)}
            self._next.write(Saved(arrays, {"start": start, "stop": end}))
            self._next = next(self._savepoints)
        self._saved = stop


def _digest(*arrays: np.ndarray) -> str:
    """SHA-256 over the bytes of arrays, one after the other."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
