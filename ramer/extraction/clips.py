"""Find the clips of a corpus: a folder of media, a table of transcripts, and names that are safe as file names."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from ramer.data.clip_tables import read_clip_table
from ramer.data.names import name_problem
from ramer.data.pairing import pair_names
from ramer.errors import CorpusError
from ramer.extraction.extractor import Clip
from ramer.extraction.formats import AUDIO_SUFFIXES, MEDIA_SUFFIXES

log = logging.getLogger(__name__)
_ABSENT_WORDS = ("nan", "none", "null", "n/a", "<na>")


def find_clips(media: Path, transcripts: Path | None) -> tuple[list[Clip], list[str]]:
    """Every clip that has media or a transcript, sorted by name, and one line per clip that was left out.

    A clip is named by its path below ``media`` without suffix. A sound file and a video file of one name are one
    clip: sound is read from the former, pictures from the latter.

    Transcripts that name no media, and media without a transcript, are counted in a warning.

    Raises:
        CorpusError: no folder, no clip in it, a table that cannot be used, or one of which hardly any row names a clip.
    """
    if not media.is_dir():
        raise CorpusError(f"{media}: no such folder, expected one with media files")
    sounds, videos, faults = _scan(media)
    sentences = read_transcripts(transcripts) if transcripts is not None else {}
    clips = {name: _clip(name, sounds.get(name), videos.get(name)) for name in sounds.keys() | videos.keys()}
    _check_pairing(transcripts, [without_suffix(written, clips) for written, _ in sentences.values()], list(clips))
    for row, (written, sentence) in sentences.items():
        name = without_suffix(written, clips)
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
    table = read_clip_table(path, required=("clip", "sentence"))
    absent = [
        (number, row["sentence"]) for number, row in table.rows if row["sentence"].strip().lower() in _ABSENT_WORDS
    ]
    if absent:
        number, word = absent[0]
        told = f"{len(absent)} sentences read {word!r} (the first in row {number}) and are taken as spoken"
        log.warning("%s: %s; leave the cell empty where nothing was said", path, told)
    return {number: (row["clip"], row["sentence"]) for number, row in table.rows}


def _check_pairing(transcripts: Path | None, names: list[str], media: list[str]) -> None:
    """Say what does not pair; refuse a table whose names are written in another way than the media's."""
    if transcripts is None or not media:
        return
    pairing = pair_names(names, media)
    said = f"{transcripts}: {pairing.said('rows', 'media files')}"
    if pairing.hardly_any:
        raise CorpusError(said)
    if pairing.unmatched or pairing.unused:
        log.warning("%s", said)


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


def without_suffix(written: str, clips: Collection[str]) -> str:
    """A clip's name as a table writes it, without the ending of a media file unless a clip is named so."""
    name = written
    if name not in clips and Path(name).suffix.lower() in MEDIA_SUFFIXES:
        name = str(PurePosixPath(name).with_suffix(""))
    return name
