"""Find the clips of a corpus: a folder of media, a table of transcripts, and names that are safe as file names."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ramer.data.clip_tables import read_clip_table
from ramer.data.media_kinds import MEDIA_KINDS, MEDIA_SUFFIXES
from ramer.data.names import name_problem
from ramer.data.pairing import pair_names
from ramer.errors import CorpusError
from ramer.extraction.media_files import Clip, MediaFiles, find_media
from ramer.extraction.ready_faces import EXPECTED, find_ready_faces

log = logging.getLogger(__name__)
NO_FACES = "no ready crops of a face"
_ABSENT_WORDS = ("nan", "none", "null", "n/a", "<na>")


class FoundClips(NamedTuple):
    """What there is of a corpus.

    Attributes:
        clips: sorted by name.
        left_out: one line per clip or row that cannot be used.
        passed_over: one line per kind of file that is not looked at, with a count.
    """

    clips: list[Clip]
    left_out: list[str]
    passed_over: list[str]


def find_clips(
    media: Path, transcripts: Path | None, *, words_alone: bool = False, faces: Path | None = None
) -> FoundClips:
    """Every clip that has media or a transcript.

    A clip is named by its path below ``media`` without suffix. A sound file and a video file of one name are one
    clip: sound is read from the former, pictures from the latter. Transcripts that name no media, and media without
    a transcript, are counted in a warning.

    Args:
        words_alone: rows that name no media are clips of words alone, however many there are; else few may be.
        faces: folder of ready crops, from which pictures are read in place of the media.

    Raises:
        CorpusError: no folder, no clip in it, a table that cannot be used, or one of which few rows name a clip.
    """
    if not media.is_dir():
        raise CorpusError(f"{media}: no such folder, expected one with media files")
    found = find_media(media)
    faults = found.left_out
    clips = {
        name: _clip(name, found.sounds.get(name), found.videos.get(name))
        for name in found.sounds.keys() | found.videos.keys()
    }
    if transcripts is not None:
        sentences = read_transcripts(transcripts)
        names = [without_suffix(written, clips) for written, _ in sentences.values()]
        _check_pairing(transcripts, media, names, list(clips), words_alone)
        faults += _add_sentences(clips, sentences, transcripts, found)
    if not clips:
        told = "".join(f"; {line}" for line in found.passed_over)
        raise CorpusError([*faults, f"{media}: no clip found, expected media files ({MEDIA_KINDS}){told}"])
    passed_over = found.passed_over
    if faces is not None:
        passed_over = passed_over + _take_faces(clips, faces)
    return FoundClips([clips[name] for name in sorted(clips)], faults, passed_over)


def _take_faces(clips: dict[str, Clip], folder: Path) -> list[str]:
    """Let clips read their pictures from ready crops; what else lies there, as lines."""
    ready = find_ready_faces(folder, clips)
    pairing = pair_names(clips, ready.paths)
    if pairing.hardly_any or len(pairing.unmatched) == pairing.wanted:
        said = pairing.said("clips", "faces") if ready.paths else f"no faces found, expected {EXPECTED}"
        raise CorpusError(f"{folder}: {said}")
    if pairing.unmatched:
        log.warning("%s: %s", folder, pairing.said("clips", "faces"))
    for name, clip in clips.items():
        clip.video = ready.paths.get(name)
        clip.problems = {m: told for m, told in clip.problems.items() if m != "video"}
        if clip.video is None:
            clip.problems["video"] = NO_FACES
    return ready.passed_over


def _add_sentences(
    clips: dict[str, Clip], sentences: dict[int, tuple[str, str]], transcripts: Path, found: MediaFiles
) -> list[str]:
    """Give clips their transcripts, and rows without media a clip; one line per row that cannot be used."""
    faults = []
    for row, (written, sentence) in sentences.items():
        name = without_suffix(written, clips)
        problem = name_problem(name)
        if problem:
            faults.append(f"{transcripts}: row {row}: clip {written!r}: {problem}; left out")
            continue
        clip = clips.setdefault(name, Clip(name, problems=_no_media(found.others.get(name))))
        if clip.transcript is not None:
            faults.append(f"{transcripts}: row {row}: clip {written!r} was named before; left out")
            continue
        clip.transcript = sentence
    return faults


def _no_media(other: str | None) -> dict[str, str]:
    told = f"no media file ({other} is of no kind that is read)" if other else "no media file"
    return dict.fromkeys(("audio", "video"), told)


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


def _check_pairing(transcripts: Path, media: Path, names: list[str], clips: list[str], words_alone: bool) -> None:
    """Say what does not pair; refuse a table whose names are written in another way than the media's."""
    pairing = pair_names(names, clips)
    said = f"{transcripts}: {pairing.said('rows', 'media files')}" if clips else f"{media}: no media file"
    few = pairing.hardly_any or 2 * len(pairing.unmatched) > pairing.wanted
    if few and not words_alone:
        raise CorpusError(f"{said}; --words-alone takes such rows as clips that are words alone")
    if clips and (pairing.unmatched or pairing.unused):
        log.warning("%s", said)


def _clip(name: str, sound: Path | None, video: Path | None) -> Clip:
    problems = {} if video else {"video": "a sound file"}
    return Clip(name, audio=sound or video, video=video, problems=problems)


def without_suffix(written: str, clips: Collection[str]) -> str:
    """A clip's name as a table writes it, without the ending of a media file unless a clip is named so.

    Accents may be written in one character or in two, as macOS does: both are the same text.
    """
    short = written
    if written not in clips and Path(written).suffix.lower() in MEDIA_SUFFIXES:
        short = str(PurePosixPath(written).with_suffix(""))
    if written.isascii() or short in clips:
        return short
    alike = (unicodedata.normalize(form, name) for name in (written, short) for form in ("NFC", "NFD"))
    return next((name for name in alike if name in clips), short)
