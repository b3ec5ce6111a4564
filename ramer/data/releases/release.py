"""What a release of a corpus says of its clips, whichever way it says it, and the tables that are written of it."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ramer.data.folders import names_below
from ramer.data.label_tables import COLUMNS
from ramer.data.media_kinds import MEDIA_SUFFIXES
from ramer.data.names import name_problem
from ramer.data.pairing import pair_names
from ramer.errors import CorpusError
from ramer.files import atomic_file, digest_file

_SHOWN = 3  # tables that a message names


@dataclass(frozen=True)
class Row:
    """One clip of a release.

    Attributes:
        clip: its path below the media folder without ending, as ``ramer extract`` names it.
        label: the name of its class, "" where it has none. group: what no split may share, "" where none is known.
        split: train, val, test or pool; "" where the release names none. sentence: what is said, None where not told.
    """

    clip: str
    label: str
    group: str = ""
    split: str = ""
    sentence: str | None = None


@dataclass(frozen=True)
class Release:
    """Clips of a release in the order of its tables or names.

    Attributes:
        media: the folder to extract, below which the clips lie. notes: what was left out, and why.
        faces: folder of the crops of faces that the release holds, None where it holds none.
    """

    media: Path
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    faces: Path | None = None


def media_files(media: Path) -> list[str]:
    """Names of the clips below a folder, sorted: paths without ending, each once.

    Raises:
        CorpusError: there is no such folder, or a name that is not safe as a path.
    """
    if not media.is_dir():
        raise CorpusError(f"{media}: no such folder, expected one with media files")
    try:
        files = [PurePosixPath(name) for name in names_below(media)]
    except OSError as error:
        raise CorpusError(f"{error.filename or media}: cannot be read: {error.strerror}") from None
    names = {file.with_suffix("").as_posix() for file in files if file.suffix.lower() in MEDIA_SUFFIXES}
    faults = [f"{media}: {name!r}: {problem}" for name in sorted(names) if (problem := name_problem(name))]
    if faults:
        raise CorpusError(faults)
    return sorted(names)


def by_last_part(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by what stands behind their last slash."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        found[PurePosixPath(name).name].append(name)
    return dict(found)


def find_table(folder: Path, *names: str) -> Path | None:
    """The first of several tables that a release may hold, in the folder or below it.

    Raises:
        CorpusError: several of one name that differ, as where a folder holds several corpora.
    """
    for name in names:
        found = [folder / name] if (folder / name).exists() else sorted(folder.rglob(name))
        if len(found) > 1 and len({digest_file(path) for path in found}) > 1:
            told = ", ".join(path.relative_to(folder).as_posix() for path in found[:_SHOWN])
            raise CorpusError(f"{folder}: several different {name} below it, such as {told}; name the folder of one")
        if found:
            return found[0]
    return None


def paired(
    table: Path, clips: Mapping[str, str], held: Collection[str], *, names_all: bool = True
) -> tuple[dict[str, str], list[str]]:
    """Names of a table that have a file, and what does not pair in words.

    Args:
        clips: name in the table to the clip that it is expected to be. held: clips that have a file.
        names_all: whether the table is expected to name every file; those that it does not name are said then.

    Raises:
        CorpusError: hardly any row has a file.
    """
    pairing = pair_names(clips.values(), held)
    said = f"{table}: {pairing.said('rows', 'media files')}"
    if (pairing.hardly_any and names_all) or len(pairing.unmatched) > len(clips) / 2 or not clips:
        raise CorpusError(said if pairing.unmatched else f"{table}: no row, expected one per clip")
    lacking = set(pairing.unmatched)
    notes = [f"{said}; rows without a file are left out"] if lacking or (pairing.unused and names_all) else []
    return {name: clip for name, clip in clips.items() if clip not in lacking}, notes


def write_labels(release: Release, out: Path) -> None:
    """Write clip, label and, where the release has them, speaker (the group) and split."""
    held = {"clip", "label"}
    held |= {"speaker"} if any(row.group for row in release.rows) else set()
    held |= {"split"} if any(row.split for row in release.rows) else set()
    columns = [column for column in COLUMNS if column in held]
    cells = [{"clip": row.clip, "label": row.label, "speaker": row.group, "split": row.split} for row in release.rows]
    _write(out, columns, cells)


def write_transcripts(release: Release, out: Path) -> None:
    """Write clip and sentence of the clips whose words the release tells."""
    told = [row for row in release.rows if row.sentence is not None]
    _write(out, ["clip", "sentence"], [{"clip": row.clip, "sentence": row.sentence or ""} for row in told])


def _write(out: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with atomic_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
