"""Parts of a corpus that are extracted side by side, each by a run of its own, and made one at the end."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

from ramer.errors import ConfigError, CorpusError
from ramer.extraction.feature_files import lost_files
from ramer.extraction.manifest import FILE_NAME, Manifest
from ramer.files import sweep

FOLDER = ".shards"
WORK = ".extracting"
JOURNAL = "journal.jsonl"
LOCK = "lock"
MOST = 9999  # parts of a corpus: each has a folder and a manifest that --merge reads
_NAME = re.compile(r"([1-9]\d{0,6})-of-([1-9]\d{0,6})", re.ASCII)
_ASKED = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})", re.ASCII)
_MOST_NAMED = 20  # of shards that are missing


class Shard(NamedTuple):
    """One of so many disjoint parts of a corpus; which one holds a clip depends on the clip's name alone.

    Attributes:
        number: from 1 to ``total``.
        total: parts there are.

    Example:
        >>> [Shard(number, 3).holds("speaker1/clip7") for number in (1, 2, 3)]
        [True, False, False]
    """

    number: int
    total: int

    @classmethod
    def parse(cls, asked: str) -> Shard:
        """From the command line's ``i/n``.

        Raises:
            ConfigError: not of this form, or there is no such part.
        """
        found = _ASKED.fullmatch(asked)
        shard = cls(int(found[1]), int(found[2])) if found else None
        if shard is None or shard.number > shard.total:
            raise ConfigError(f"shard: expected I/N with I from 1 to N, at most {MOST}, as 1/4 or 4/4, got {asked!r}")
        return shard

    @classmethod
    def of(cls, clip: str, total: int) -> Shard:
        """The one of so many that holds a clip."""
        digest = hashlib.sha256(clip.encode()).digest()
        return cls(int.from_bytes(digest[:8], "big") % total + 1, total)

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.number}-of-{self.total}"

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def holds(self, clip: str) -> bool:
        """Whether a clip belongs to it."""
        return self == Shard.of(clip, self.total)


def shards_of(count: int) -> list[Shard]:
    """All parts of a corpus that is cut into so many."""
    return [Shard(number, count) for number in range(1, count + 1)]


def begun_shards(features: Path) -> list[Shard]:
    """Those that runs have begun below a folder of features, and that are not merged.

    Raises:
        CorpusError: they are of two ways to cut the corpus.
    """
    names = sorted(path.name for path in (features / FOLDER).glob("*-of-*"))
    named = (Shard(int(name[1]), int(name[2])) for name in map(_NAME.fullmatch, names) if name)
    found = sorted(shard for shard in named if shard.number <= shard.total)
    counts = sorted({shard.total for shard in found})
    if len(counts) > 1:
        told = " and ".join(map(str, counts))
        raise CorpusError(
            f"{features / FOLDER}: shards of {told} parts, expected those of one number; remove the others"
        )
    return found


def hold(lock: Path) -> IO[str]:
    """A lock file that is this process' until it is closed.

    Raises:
        CorpusError: another process has it.
    """
    file = lock.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise CorpusError(f"{lock.parent.parent}: another run is writing here") from None
    return file


def is_held(lock: Path) -> bool:
    """Whether a process has a lock file."""
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def check_room(features: Path, shard: Shard | None) -> None:
    """Refuse a run beside one that works on the same clips; called once the run's own folder is there and held.

    Raises:
        CorpusError: shards that are not merged, of another number of parts, or a run over the whole corpus.
    """
    others = [other for other in begun_shards(features) if other != shard]
    if shard is None and others:
        raise CorpusError(f"{features}: shards are not merged: `ramer extract MEDIA OUT --merge`, or remove {FOLDER}")
    if shard is not None and is_held(features / WORK / LOCK):
        raise CorpusError(f"{features}: another run is writing here")


def check_same(features: Path, made: Manifest, wanted: Manifest) -> None:
    """A shard must not replace files that the folder's manifest describes: that is written when all are merged.

    Args:
        made: the folder's. wanted: of the run.

    Raises:
        CorpusError: the folder holds features that were made in another way.
    """
    differing = [
        m
        for m in wanted.settings.modalities
        if m in made.settings.modalities and made.settings.of(m).name == wanted.settings.of(m).name
        if made.fingerprint(m) != wanted.fingerprint(m)
    ]
    if differing:
        told = "holds features of other settings, which shards do not replace: remove them, or take another folder"
        raise CorpusError(f"{features}: {told} ({', '.join(differing)})")


def merge_shards(features: Path, clips: Collection[str]) -> int:
    """Make the shards' manifests the folder's; what runs wrote stays where it is. Returns how many they were.

    Args:
        features: folder that the shards were written into.
        clips: names of all that there are.

    Raises:
        CorpusError: a shard is missing, unfinished or made with other settings, a file of one is gone, or a clip is in
            none; a line each.
    """
    begun = begun_shards(features)
    if not begun:
        raise CorpusError(f"{features}: no shards here, expected those of `ramer extract MEDIA OUT --shard I/N`")
    if faults := [fault for shard in begun if (fault := _unfinished(features, shard))] + _missing(features, begun):
        raise CorpusError(faults)
    shards = begun
    manifests = [Manifest.read(features / FOLDER / shard.name / FILE_NAME) for shard in shards]
    if faults := _differences(features, shards, manifests) or _lost_files(features, shards, manifests):
        raise CorpusError(faults)
    whole = Manifest(manifests[0].settings, manifests[0].records)
    for manifest in manifests:
        whole.clips |= manifest.clips
        whole.dims |= manifest.dims
    if lost := sorted(set(clips) - whole.clips.keys()):
        told = f"{len(lost)} clips are in no shard, the first {lost[0]!r}"
        raise CorpusError(f"{features}: {told}: they came later; run the shards again")
    (features / WORK).mkdir(exist_ok=True)
    with hold(features / WORK / LOCK):
        whole.write(features / FILE_NAME)
        shutil.rmtree(features / FOLDER, ignore_errors=True)
        shutil.rmtree(features / WORK, ignore_errors=True)
    sweep(features)
    return len(shards)


def _missing(features: Path, begun: Sequence[Shard]) -> list[str]:
    """A line for each shard that no run has begun, few of very many."""
    total = begun[0].total
    there = {shard.number for shard in begun}
    numbers = (number for number in range(1, total + 1) if number not in there)
    lines = [_again(features, Shard(number, total), "is missing") for number in islice(numbers, _MOST_NAMED)]
    if (more := total - len(there) - len(lines)) > 0:
        lines.append(f"{features}: {more} more shards are missing")
    return lines


def _again(features: Path, shard: Shard, why: str) -> str:
    return f"{features}: shard {shard} {why}: `ramer extract MEDIA OUT --shard {shard}`"


def _lost_files(features: Path, shards: Sequence[Shard], manifests: Sequence[Manifest]) -> list[str]:
    """A line for each shard of which a feature file is gone: its next run makes it again."""
    faults = []
    for shard, manifest in zip(shards, manifests, strict=True):
        if gone := lost_files(features, manifest):
            faults.append(_again(features, shard, f"has lost {len(gone)} of its files, the first {gone[0]}"))
    return faults


def _unfinished(features: Path, shard: Shard) -> str | None:
    folder = features / FOLDER / shard.name
    if is_held(folder / LOCK):
        return f"{features}: shard {shard} is still running"
    begun, ended = (folder / JOURNAL).exists(), (folder / FILE_NAME).exists()
    if ended and not begun:
        return None
    return _again(features, shard, "was not finished" if begun else "is missing")


def _differences(features: Path, shards: Sequence[Shard], manifests: Sequence[Manifest]) -> list[str]:
    """One line per shard that was made in another way than the first."""
    faults = []
    first = _made_by(manifests[0])
    for shard, manifest in zip(shards, manifests, strict=True):
        made = _made_by(manifest)
        differing = sorted(key for key in first.keys() | made.keys() if first.get(key) != made.get(key))
        if differing:
            what = ", ".join(differing)
            faults.append(f"{features}: shard {shard}: made with other settings than shard {shards[0]} ({what})")
    return faults


def _made_by(manifest: Manifest) -> dict[str, object]:
    settings = manifest.settings
    made: dict[str, object] = {m: (settings.of(m).name, manifest.fingerprint(m)) for m in settings.modalities}
    made["frames"] = settings.per_frame
    made["recognition"] = (settings.recognition, manifest.records.get("recognition"))
    return made
