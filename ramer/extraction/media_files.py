"""Clips and their media files: one file, or all below a folder with a count of what is passed over."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ramer.data.folders import FolderWalk
from ramer.data.media_kinds import AUDIO_SUFFIXES, MEDIA_KINDS, MEDIA_SUFFIXES, VIDEO_SUFFIXES
from ramer.data.names import name_problem

_NAMED = 8  # kinds of files that a remark lists
_IS_AUDIO = {suffix: suffix in AUDIO_SUFFIXES for suffix in MEDIA_SUFFIXES}


@dataclass
class Clip:
    """What there is of one clip.

    Attributes:
        name: path below the media folder, without suffix.
        audio: file to read sound from, None where there is none.
        video: file to read pictures from, likewise.
        transcript: None where there is none; "" is a clip without words.
        problems: modality to why its file is None, where more is known than that there is none.
    """

    name: str
    audio: Path | None = None
    video: Path | None = None
    transcript: str | None = None
    problems: dict[str, str] = field(default_factory=dict)

    def media(self, modality: str) -> Path | None:
        """The file that holds the sound, or the pictures."""
        return self.audio if modality == "audio" else self.video


@dataclass
class MediaFiles:
    """What a folder holds.

    Attributes:
        sounds: clip to its sound file.
        videos: clip to its video file.
        others: name without suffix to a file of a kind that is not read.
        left_out: one line per media file that cannot be a clip.
        passed_over: one line per kind of thing that is not looked at, with a count.
    """

    sounds: dict[str, Path] = field(default_factory=dict)
    videos: dict[str, Path] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def find_media(folder: Path) -> MediaFiles:
    """Media files below a folder, by clip: the path below the folder, of parts joined by ``/``, without suffix.

    Folders and files that are symbolic links are followed. Hidden files and those of the system are passed over, and
    so are kinds that are no media.
    """
    found = MediaFiles()
    others: Counter[str] = Counter()
    walk = FolderWalk(folder)
    for relative in walk:
        stem, suffix = os.path.splitext(relative)
        is_audio = _IS_AUDIO.get(suffix.lower())
        if is_audio is None:
            others[suffix.lower() or "without an ending"] += 1
            found.others.setdefault(stem, relative)
            continue
        problem = name_problem(stem)
        if problem:
            found.left_out.append(f"{relative!r}: {problem}; left out")
            continue
        kind = found.sounds if is_audio else found.videos
        if stem in kind:
            beside = kind[stem].name
            found.left_out.append(f"{relative!r}: a second file for the clip {stem!r}, beside {beside!r}; left out")
            continue
        kind[stem] = folder / relative
    found.left_out += walk.faults
    found.passed_over = [*walk.told, *told_kinds(others)]
    return found


def told_kinds(others: Counter[str]) -> list[str]:
    """How many files of which kinds are not read."""
    if not others:
        return []
    kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(_NAMED))
    more = f" and {len(others) - _NAMED} more kinds" if len(others) > _NAMED else ""
    files = "file" if others.total() == 1 else "files"
    return [f"{others.total()} {files} of other kinds passed over: {kinds}{more}"]


def clip_of_file(path: Path) -> Clip:
    """A clip that is one file; a sound file has no pictures."""
    suffix = path.suffix.lower()
    if not path.is_file():
        return Clip(path.stem, problems=dict.fromkeys(("audio", "video"), f"no such file: {path}"))
    if suffix in AUDIO_SUFFIXES:
        return Clip(path.stem, audio=path, problems={"video": "a sound file"})
    if suffix in VIDEO_SUFFIXES:
        return Clip(path.stem, audio=path, video=path)
    unknown = f"{path.name}: unknown kind, expected {MEDIA_KINDS}"
    return Clip(path.stem, problems=dict.fromkeys(("audio", "video"), unknown))
