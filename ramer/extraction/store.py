"""Feature files on disk: each one whole or absent, and a journal from which a killed run goes on."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from ramer.data.names import name_problem
from ramer.data.npy import read_array
from ramer.errors import CorpusError
from ramer.extraction.manifest import FILE_NAME, Entry, Manifest, merged
from ramer.extraction.results import Encoded, Missing, Outcome, one_line

log = logging.getLogger(__name__)

_SUFFIXES = ("UTT", "FRA")


class FeatureStore:
    """The folder ``features`` of one corpus in the MERBench layout, held by one run at a time.

    Use as a context manager. What an earlier run wrote is kept where the settings are the same; what other
    settings wrote into the same folder is removed when the run starts, so a folder never mixes the two.

    Args:
        folder: holds ``<extractor>-UTT/<clip>.npy``, ``-FRA`` likewise, and the manifest.
        wanted: settings and encoders of this run.

    Raises:
        CorpusError: another run holds the folder, or its manifest cannot be read.
    """

    def __init__(self, folder: Path, wanted: Manifest) -> None:
        self.folder = folder
        self.wanted = wanted
        self.manifest = wanted
        self._work = folder / ".extracting"
        self._partial = self._work / "partial.npy"
        self._journal: IO[str] | None = None
        self._lock: IO[str] | None = None
        self._fingerprints: dict[str, str] = {}

    def __enter__(self) -> FeatureStore:
        self._work.mkdir(parents=True, exist_ok=True)
        self._lock = (self._work / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise CorpusError(f"{self.folder}: another run is writing here") from None
        try:
            self._take_over()
            self._journal = (self._work / "journal.jsonl").open("a", encoding="utf-8")
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._journal, self._lock):
            if file is not None:
                file.close()

    def is_done(self, clip: str, modality: str, sha256: str | None) -> bool:
        """Whether an earlier run settled this clip from the same input; what failed is tried again."""
        entry = self.manifest.clips.get(clip, {}).get(modality)
        if entry is None or entry["status"] == "failed" or entry["sha256"] != sha256:
            return False
        wanted = _SUFFIXES if self.manifest.settings.per_frame else _SUFFIXES[:1]
        return entry["status"] == "missing" or all(self._file(modality, clip, s).is_file() for s in wanted)

    def add(
        self, clip: str, modality: str, outcome: Outcome, source: str | None, sha256: str | None, **extra: Any
    ) -> Outcome:
        """Write a clip's outcome and note it; returns the outcome, a fault where it could not be written."""
        if isinstance(outcome, Encoded):
            outcome = self._write(clip, modality, outcome)
        entry: Entry = {"source": source, "sha256": sha256} | extra
        if isinstance(outcome, Missing):
            self._remove(modality, clip)
            entry |= {"status": "failed" if outcome.failed else "missing", "reason": outcome.reason}
        else:
            entry |= {"status": "extracted"} | ({"notes": list(outcome.notes)} if outcome.notes else {})
            self.manifest.dims[modality] = len(outcome.vector)
        self.manifest.clips.setdefault(clip, {})[modality] = entry
        assert self._journal is not None
        line = {
            "clip": clip,
            "modality": modality,
            "fingerprint": self._fingerprints[modality],
            "dim": self.manifest.dims.get(modality),
            "entry": entry,
        }
        self._journal.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._journal.flush()
        return outcome

    def finish(self, present: Iterable[str], prune: bool) -> int:
        """Write the manifest and remove the journal; returns how many clips of earlier runs are not ``present``.

        Args:
            prune: remove those clips' features.
        """
        gone = sorted(self.manifest.clips.keys() - set(present))
        if prune:
            for clip in gone:
                for modality in self.manifest.clips.pop(clip):
                    self._remove(modality, clip)
        self.manifest.write(self.folder / FILE_NAME)
        shutil.rmtree(self._work, ignore_errors=True)
        return len(gone)

    def vector(self, modality: str, clip: str) -> np.ndarray | None:
        """A clip's vector, None where it is missing.

        Raises:
            CorpusError: its file is gone or damaged.
        """
        entry = self.manifest.clips.get(clip, {}).get(modality)
        if entry is None or entry["status"] != "extracted":
            return None
        path = self._file(modality, clip, "UTT")
        try:
            return read_array(path)
        except ValueError as error:
            raise CorpusError(f"{path}: {error}") from None

    def _take_over(self) -> None:
        path = self.folder / FILE_NAME
        if path.exists():
            old = Manifest.read(path)
            self.manifest = merged(self.wanted, old)
            outdated = [
                (m, clip)
                for m in self.manifest.settings.modalities
                if m in old.settings.modalities and old.settings.of(m).name == self.manifest.settings.of(m).name
                for clip, _ in old.entries(m)
                if m not in self.manifest.clips.get(clip, {})
            ]
            if outdated:
                log.info("%s: %d feature files of other settings are replaced", self.folder, len(outdated))
                for modality, clip in outdated:
                    self._remove(modality, clip)
                self.manifest.write(path)
        self._fingerprints = {m: self.manifest.fingerprint(m) for m in self.manifest.settings.modalities}
        self._read_journal()

    def _read_journal(self) -> None:
        path = self._work / "journal.jsonl"
        if not path.exists():
            return
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                try:
                    line = json.loads(text)
                    clip, modality, entry = line["clip"], line["modality"], line["entry"]
                except (ValueError, KeyError, TypeError):
                    continue  # the line that the killed run was writing
                if name_problem(clip):
                    continue
                if self._fingerprints.get(modality) != line.get("fingerprint"):
                    self._forget(modality, clip)
                    continue
                self.manifest.clips.setdefault(clip, {})[modality] = entry
                if line.get("dim") is not None:
                    self.manifest.dims[modality] = line["dim"]

    def _forget(self, modality: str, clip: str) -> None:
        """Drop what a killed run with other settings wrote, unless it belongs to another extractor's folder."""
        if modality in self.manifest.settings.modalities:
            self._remove(modality, clip)
            self.manifest.clips.get(clip, {}).pop(modality, None)

    def _write(self, clip: str, modality: str, encoded: Encoded) -> Outcome:
        arrays = {"UTT": encoded.vector, "FRA": encoded.frames}
        try:
            for suffix, array in arrays.items():
                target = self._file(modality, clip, suffix)
                if array is None:
                    target.unlink(missing_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._partial.open("wb") as file:
                    np.save(file, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
                os.replace(self._partial, target)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            return Missing(f"its feature file cannot be written: {one_line(error)}", failed=True)
        except OSError as error:
            raise CorpusError(f"{target}: cannot be written: {error.strerror or error}") from None
        return encoded

    def _remove(self, modality: str, clip: str) -> None:
        for suffix in _SUFFIXES:
            path = self._file(modality, clip, suffix)
            if path.is_file():
                path.unlink()

    def _file(self, modality: str, clip: str, suffix: str) -> Path:
        return self.folder / f"{self.manifest.settings.of(modality).name}-{suffix}" / f"{clip}.npy"
