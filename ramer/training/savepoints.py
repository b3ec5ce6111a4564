"""How far a stage's long work got, on disk: after a kill the next run goes on from there to the same bytes.

A savepoint is no output of the pipeline. It lies in a folder that is known by a recipe, all that decides the bytes of
the stage's result, and which is removed when the stage has written that result; so are those of other recipes. A
stage that is done within seconds writes none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ramer.array_files import read_tensors, write_tensors
from ramer.errors import ConfigError, in_one_line, raise_if_scarce
from ramer.files import read_json, sweep, write_json

logger = logging.getLogger(__name__)

INTERVAL_S = 30.0  # between two savepoints, unless RAMER_SAVEPOINT_SECONDS says otherwise
SHARE = 0.05  # of the time that writing savepoints may take: a model of gigabytes is written less often,
MOST_INTERVALS = 20  # but at least once in so many intervals
_SPENT = "seconds.json"


class Saved(NamedTuple):
    """What a savepoint holds.

    Attributes:
        arrays: by name. values: numbers, texts and lists of them; NaN and infinities come back as they were.
    """

    arrays: dict[str, np.ndarray]
    values: dict[str, Any]


@dataclass
class Savepoints:
    """The savepoints of one run of a stage.

    Attributes:
        title: of the stage and its item, for messages.
        folder: that they lie in; None keeps nothing.
        interval: seconds between two of one piece of work; nothing is written before the stage has run for so long.
        started: when the stage began, in seconds since the epoch.
        before: seconds that earlier processes worked for what was saved; what they did after that is lost.
    """

    title: str = ""
    folder: Path | None = None
    interval: float = INTERVAL_S
    started: float = field(default_factory=time.time)
    before: float = 0.0
    _full: bool = field(default=False, init=False)

    def at(self, name: str) -> Savepoint:
        """The savepoint of one piece of work."""
        return Savepoint(self, name)

    def numbered(self, name: str) -> Iterator[Savepoint]:
        """Savepoints of pieces of work that come in the same order in every run."""
        return (self.at(f"{name}.{number}") for number in count())

    def warn(self, error: OSError) -> None:
        """Say once why nothing is kept: the work itself goes on."""
        if not self._full:
            logger.warning("no savepoint was written, a run that is killed starts over: %s", in_one_line(error))
        self._full = True


NOTHING_KEPT = Savepoints()


class Savepoint:
    """One file that says how far one piece of work got.

    Attributes:
        title: of the work, for messages.
    """

    def __init__(self, place: Savepoints, name: str) -> None:
        self.title = f"{place.title} {name}".strip()
        self._place, self._name = place, name
        self._next = time.time() + place.interval

    @property
    def due(self) -> bool:
        """Whether unfinished work should be saved now."""
        return self._place.folder is not None and time.time() >= self._next

    @property
    def worth(self) -> bool:
        """Whether finished work should be saved: the stage has run for a while, and may for long."""
        return self._place.folder is not None and time.time() >= self._place.started + self._place.interval

    def read(self) -> Saved | None:
        """What an earlier run saved; None if nothing, or if it is damaged, which is said and thrown away."""
        path = self._path
        if path is None or not path.exists():
            return None
        try:
            arrays, about = read_tensors(path)
            saved = Saved(arrays, json.loads(about["values"]))
            if about["digest"] != _digest(saved.arrays, about["values"]):
                raise ValueError("not the content that its digest names")
        except Exception as error:  # safetensors raises its own, OSError or a JSON error, by the kind of damage
            raise_if_scarce(error)
            logger.warning("%s: a damaged savepoint, thrown away (%s): starts over", path, _kind(error))
            path.unlink(missing_ok=True)
            return None
        return saved

    def write(self, saved: Saved) -> None:
        """Save, whole or not at all; a full disk is a warning."""
        path, began = self._path, time.time()
        if path is None:
            return
        values = json.dumps(saved.values)
        arrays = {name: np.atleast_1d(array) for name, array in saved.arrays.items()}  # as they are read again
        try:
            write_tensors(path, arrays, {"values": values, "digest": _digest(arrays, values)})
            write_json(path.with_name(_SPENT), self._place.before + began - self._place.started)
        except OSError as error:
            self._place.warn(error)
        now, interval = time.time(), self._place.interval
        self._next = now + max(interval, min((now - began) / SHARE, MOST_INTERVALS * interval))

    @property
    def _path(self) -> Path | None:
        return None if self._place.folder is None else self._place.folder / f"{self._name}.safetensors"


@contextmanager
def open_savepoints(title: str, folder: Path, recipe: str) -> Iterator[Savepoints]:
    """Savepoints for the body, which are removed when it has succeeded; those of other recipes are removed at once.

    Args:
        title: of the stage and its item, for messages.
        folder: of the stage and its item, nobody else's.
        recipe: text that changes with whatever changes the result.

    Raises:
        ConfigError: RAMER_SAVEPOINT_SECONDS is no number of seconds.
    """
    place = folder / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    for other in folder.iterdir() if folder.is_dir() else ():
        if other != place:
            shutil.rmtree(other, ignore_errors=True)
    sweep(place)
    yield Savepoints(title, place, _interval(), before=_spent(place / _SPENT))
    shutil.rmtree(folder, ignore_errors=True)


def _spent(path: Path) -> float:
    try:
        return max(float(read_json(path)), 0.0)
    except (OSError, ValueError, TypeError):
        return 0.0


def _interval() -> float:
    asked = os.environ.get("RAMER_SAVEPOINT_SECONDS", "")
    try:
        seconds = float(asked or INTERVAL_S)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise ConfigError(f"RAMER_SAVEPOINT_SECONDS: expected seconds, 0 or more, got {asked!r}")
    return seconds


def _digest(arrays: Mapping[str, np.ndarray], values: str) -> str:
    sha = hashlib.sha256(values.encode())
    for name in sorted(arrays):
        sha.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        sha.update(np.ascontiguousarray(arrays[name]).data)
    return sha.hexdigest()


def _kind(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
