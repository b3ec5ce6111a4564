"""Find the clips of a corpus: a folder of media, a table of transcripts, and names that are safe as file names."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from ramer.data.names import name_problem
from ramer.errors import CorpusError
from ramer.extraction.extractor import Clip
from ramer.extraction.formats import AUDIO_SUFFIXES, MEDIA_SUFFIXES


def find_clips(media: Path, transcripts: Path | None) -> tuple[list[Clip], list[str]]:
    """Every clip that has media or a transcript, sorted by name, and one line per clip that was left out.

    A clip is named by its path below ``media`` without suffix. A sound file and a video file of one name are one
    clip: sound is read from the former, pictures from the latter.

    Raises:
        CorpusError: no folder, no clip in it, or a table that cannot be used.
    """
    if not media.is_dir():
        raise CorpusError(f"{media}: no such folder, expected one with media files")
    sounds, videos, faults = _scan(media)
    sentences = read_transcripts(transcripts) if transcripts is not None else {}
    clips = {name: _clip(name, sounds.get(name), videos.get(name)) for name in sounds.keys() | videos.keys()}
    for row, (written, sentence) in sentences.items():
        name = _without_suffix(written, clips)
        problem = name_problem(name)
        if problem:
            faults.append(f"{transcripts}: row {row}: clip {written!r}: {problem}; left out")
            continue
        clip = clips.setdefault(name, Clip(name))
        if clip.transcript is not None:
            faults.append(f"{transcripts}: row {row}: clip {written!r} was named before; left out")
            continue
        clip.transcript = sentence
    if not clips:
        kinds = ", ".join(MEDIA_SUFFIXES)
        raise CorpusError([*faults, f"{media}: no clip found, expected files with one of {kinds}"])
    return [clips[name] for name in sorted(clips)], faults


def read_transcripts(path: Path) -> dict[int, tuple[str, str]]:
    """Row number (the header is row 1) to (clip, sentence) of a UTF-8 CSV with these two columns.

    Raises:
        CorpusError: not UTF-8, no such columns, or a row without a clip; one line per fault.
    """
    return {number: (row["clip"], row["sentence"]) for number, row in read_csv(path, required=("clip", "sentence"))}


def read_csv(path: Path, required: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a UTF-8 CSV (a byte order mark is allowed) with their numbers, the header being row 1.

    Raises:
        CorpusError: not there, not UTF-8, not these columns, or a row whose ``clip`` is empty; one line per fault.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, restval="")
            columns = [(name or "").strip() for name in reader.fieldnames or []]
            lacking = [name for name in required if name not in columns]
            if lacking:
                raise CorpusError(f"{path}: no column {', '.join(lacking)}, expected {', '.join(required)}")
            reader.fieldnames = columns
            rows = [(number, row) for number, row in enumerate(reader, start=2)]
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file, expected a CSV with {', '.join(required)}") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 (byte {error.start}), expected a UTF-8 CSV") from None
    except (OSError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read as CSV: {error}") from None
    faults = [
        f"{path}: row {number}: more fields than the header names; is a comma not quoted?"
        for number, row in rows
        if None in row
    ]
    faults += [f"{path}: row {number}: clip: empty, expected a name" for number, row in rows if not row["clip"].strip()]
    if faults:
        raise CorpusError(faults)
    return [(number, row | {"clip": row["clip"].strip()}) for number, row in rows]


def _scan(media: Path) -> tuple[dict[str, Path], dict[str, Path], list[str]]:
    sounds: dict[str, Path] = {}
    videos: dict[str, Path] = {}
    faults: list[str] = []
    for path in _media_files(media):
        relative = PurePosixPath(path.relative_to(media).as_posix())
        name = str(relative.with_suffix(""))
        problem = name_problem(name)
        if problem:
            faults.append(f"{str(relative)!r}: {problem}; left out")
            continue
        kind = sounds if relative.suffix.lower() in AUDIO_SUFFIXES else videos
        if name in kind:
            faults.append(
                f"{str(relative)!r}: a second file for the clip {name!r}, beside {kind[name].name!r}; left out"
            )
            continue
        kind[name] = path
    return sounds, videos, faults


def _media_files(media: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(media):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in MEDIA_SUFFIXES:
                yield Path(folder, file)


def _clip(name: str, sound: Path | None, video: Path | None) -> Clip:
    problems = {} if video else {"video": "a sound file"}
    return Clip(name, audio=sound or video, video=video, problems=problems)


def _without_suffix(written: str, clips: Mapping[str, Clip] | Iterable[str]) -> str:
    name = written
    if name not in clips and Path(name).suffix.lower() in MEDIA_SUFFIXES:
        name = str(PurePosixPath(name).with_suffix(""))
    return name
