"""The folder of features of a corpus, and a journal from which a killed run goes on."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from ramer.extraction.feature_files import read_features, remove_features, save_features
from ramer.extraction.journal import Journal, Line
from ramer.extraction.manifest import FILE_NAME, Manifest, merged
from ramer.extraction.manifest_record import Entry
from ramer.extraction.outcomes import Encoded, Missing, Outcome
from ramer.extraction.shards import FOLDER, JOURNAL, LOCK, WORK, Shard, check_room, check_same, hold

log = logging.getLogger(__name__)

_SUFFIXES = ("UTT", "FRA")
Origin = tuple[str | None, str | None]  # name and SHA-256 of what features are made from, where there is anything


class FeatureStore:
    """The folder ``features`` of one corpus in the MERBench layout, held by one run at a time.

    Use as a context manager. What an earlier run wrote is kept where the settings are the same; what other
    settings wrote into the same folder is removed by ``begin``, so a folder never mixes the two.

    Args:
        folder: holds ``<extractor>-UTT/<clip>.npy``, ``-FRA`` likewise, and the manifest.
        wanted: settings and encoders of this run.
        shard: whose clips this run makes, beside the runs of other shards; None for all.

    Attributes:
        manifest: what of earlier runs is kept, and what this run has added.

    Raises:
        CorpusError: another run holds the folder, its manifest cannot be read, or it holds features of other settings
            than those of a shard.
    """

    def __init__(self, folder: Path, wanted: Manifest, shard: Shard | None = None) -> None:
        self.folder = folder
        self.wanted = wanted
        self.manifest = wanted
        self._shard = shard
        self._work = folder / WORK if shard is None else folder / FOLDER / shard.name
        self._manifest_file = (folder if shard is None else self._work) / FILE_NAME
        self._partial = self._work / "partial.npy"
        self._journal = Journal(self._work / JOURNAL)
        self._lock: IO[str] | None = None
        self._fingerprints: dict[str, str] = {}
        self._outdated: set[tuple[str, str]] = set()
        self._lines: list[Line] = []  # of the journal, those that hold in this run

    def __enter__(self) -> FeatureStore:
        self._work.mkdir(parents=True, exist_ok=True)
        self._lock = hold(self._work / LOCK)
        try:
            check_room(self.folder, self._shard)
            self._take_over()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()
        if not self._journal.path.exists() and not self._kept_manifest():  # nothing was begun, now or before
            shutil.rmtree(self._work, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    @property
    def replaces(self) -> bool:
        """Whether ``begin`` removes files of other settings."""
        return bool(self._outdated)

    def begin(self) -> None:
        """Remove what other settings wrote into this run's folders, and open the journal.

        Raises:
            CorpusError: a file cannot be removed.
        """
        if self._outdated:
            log.info("%s: %d feature files of other settings are replaced", self.folder, len(self._outdated))
            for modality, clip in sorted(self._outdated):
                self._remove(modality, clip)
            # After the files: a run that is killed in between leaves entries without files, which the next one drops;
            # files without entries it would never find.
            if self._manifest_file.exists():
                self.manifest.write(self._manifest_file)
        self._journal.begin(self._lines)

    def is_done(self, clip: str, modality: str, sha256: str | None) -> bool:
        """Whether an earlier run settled this clip from the same input; what failed is tried again."""
        return self.is_settled(clip, modality) and self.manifest.clips[clip][modality]["sha256"] == sha256

    def is_settled(self, clip: str, modality: str) -> bool:
        """Whether an earlier run settled this clip, from whatever input."""
        entry = self.manifest.clips.get(clip, {}).get(modality)
        if entry is None or entry["status"] == "failed":
            return False
        wanted = _SUFFIXES if self.manifest.settings.per_frame else _SUFFIXES[:1]
        return entry["status"] == "missing" or all(self._file(modality, clip, s).is_file() for s in wanted)

    def add(
        self, clip: str, modality: str, outcome: Outcome, made_from: Origin, recognised: str | None = None
    ) -> Outcome:
        """Write a clip's outcome and note it; returns the outcome, a fault where it could not be written.

        Only after ``begin``.

        Args:
            made_from: name and digest of what it was made from.
            recognised: the words that were heard, where they are what it was made from.
        """
        if isinstance(outcome, Encoded):
            outcome = self._write(clip, modality, outcome)
        entry: Entry = {"status": "extracted", "source": made_from[0], "sha256": made_from[1]}
        if recognised is not None:
            entry["recognised"] = recognised
        if outcome.notes:
            entry["notes"] = list(outcome.notes)
        if isinstance(outcome, Missing):
            self._remove(modality, clip)
            entry["status"], entry["reason"] = "failed" if outcome.failed else "missing", outcome.reason
        else:
            if outcome.faces:
                entry["faces"] = outcome.faces._asdict()
            self.manifest.dims[modality] = len(outcome.vector)
        self.manifest.clips.setdefault(clip, {})[modality] = entry
        line: Line = {
            "clip": clip,
            "modality": modality,
            "folder": self._folder(modality),
            "fingerprint": self._fingerprints[modality],
            "dim": self.manifest.dims.get(modality),
            "entry": entry,
        }
        self._journal.add(line)
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
        self.manifest.write(self._manifest_file)
        self._journal.path.unlink(missing_ok=True)  # a shard's other files stay until it is merged
        return len(gone)

    def vector(self, modality: str, clip: str) -> np.ndarray | None:
        """A clip's vector, None where it is missing.

        Raises:
            CorpusError: its file is gone or damaged.
        """
        entry = self.manifest.clips.get(clip, {}).get(modality)
        if entry is None or entry["status"] != "extracted":
            return None
        return read_features(self._file(modality, clip, "UTT"))

    def _take_over(self) -> None:
        """Tell what earlier runs left that is kept from what is outdated; nothing on disk changes."""
        old = self._earlier()
        if old is not None:
            self.manifest = merged(self.wanted, old)
            self._outdated = {
                (m, clip)
                for m in self.manifest.settings.modalities
                if m in old.settings.modalities and old.settings.of(m).name == self.manifest.settings.of(m).name
                for clip, _ in old.entries(m)
                if m not in self.manifest.clips.get(clip, {})
            }
        self._fingerprints = {m: self.manifest.fingerprint(m) for m in self.manifest.settings.modalities}
        for line in self._journal.read():
            clip, modality = line["clip"], line["modality"]
            if line["folder"] != self._folder(modality):
                self._lines.append(line)  # lies in another extractor's folder, which this run leaves alone
            elif line["fingerprint"] == self._fingerprints[modality]:
                self._lines.append(line)
                self._outdated.discard((modality, clip))
                self.manifest.clips.setdefault(clip, {})[modality] = line["entry"]
                if line["dim"] is not None:
                    self.manifest.dims[modality] = line["dim"]
            else:
                self._outdated.add((modality, clip))
                self.manifest.clips.get(clip, {}).pop(modality, None)
        self._drop_lost()

    def _earlier(self) -> Manifest | None:
        """What earlier runs left: a shard's own manifest, else its part of the folder's."""
        if self._shard is None:
            return Manifest.read(self._manifest_file) if self._manifest_file.exists() else None
        whole = Manifest.read(self.folder) if (self.folder / FILE_NAME).exists() else None
        if whole is not None:
            check_same(self.folder, whole, self.wanted)
            whole.clips = {clip: found for clip, found in whole.clips.items() if self._shard.holds(clip)}
        return Manifest.read(self._manifest_file) if self._manifest_file.exists() else whole

    def _kept_manifest(self) -> bool:
        return self._shard is not None and self._manifest_file.exists()

    def _drop_lost(self) -> None:
        """Entries whose file is gone, as after a run that was killed while it removed files, are none."""
        lost: dict[str, list[str]] = {}
        for clip, found in list(self.manifest.clips.items()):
            for modality, entry in list(found.items()):
                if entry["status"] == "extracted" and not self._file(modality, clip, "UTT").is_file():
                    del found[modality]
                    lost.setdefault(modality, []).append(clip)
            if not found:
                del self.manifest.clips[clip]
        for modality in sorted(
            lost.keys() - set(self.wanted.settings.modalities)
        ):  # which this run does not make again
            clips = lost[modality]
            log.warning(
                "%s: %s: the vectors of %d clips are gone, the first %r", self.folder, modality, len(clips), clips[0]
            )

    def _write(self, clip: str, modality: str, encoded: Encoded) -> Outcome:
        arrays = {"UTT": encoded.vector, "FRA": encoded.frames}
        refused = save_features({self._file(modality, clip, s): array for s, array in arrays.items()}, self._partial)
        return encoded if refused is None else refused

    def _remove(self, modality: str, clip: str) -> None:
        for suffix in _SUFFIXES:
            remove_features(self._file(modality, clip, suffix))

    def _folder(self, modality: str) -> str | None:
        """The first part of a modality's folder names, None where this run and the manifest know no such modality."""
        settings = self.manifest.settings
        return settings.of(modality).name if modality in settings.modalities else None

    def _file(self, modality: str, clip: str, suffix: str) -> Path:
        return self.folder / f"{self._folder(modality)}-{suffix}" / f"{clip}.npy"
