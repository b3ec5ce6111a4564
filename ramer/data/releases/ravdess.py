"""RAVDESS (Livingstone and Russo 2018), https://zenodo.org/records/1188976: everything is in the names of the files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ramer.data.corpora import CORPORA
from ramer.data.releases.release import Release, Row, media_files
from ramer.errors import CorpusError

_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_STATEMENTS = ("Kids are talking by the door", "Dogs are sitting by the door")
_BEST_FIRST = {"01": 0, "03": 1, "02": 2}  # sound and picture, sound, picture: one file of each performance
_LARGEST = (3, 2, 8, 2, 2, 2, 24)  # of the seven fields; each counts from 1
_SPEECH = "01"


def read(folder: Path, media: Path | None) -> Release:
    """One row a spoken performance: its file with sound and picture, or else with sound, or else with picture.

    Raises:
        CorpusError: no file is named as RAVDESS' are.
    """
    media = media or folder
    chosen: dict[tuple[str, ...], str] = {}
    strange: list[str] = []
    sung = further = 0
    for name in media_files(media):
        fields = _fields(name)
        if fields is None:
            strange.append(name)
        elif fields[1] != _SPEECH:
            sung += 1
        else:
            other = chosen.get(fields[1:])
            further += other is not None
            if other is None or _BEST_FIRST[fields[0]] < _BEST_FIRST[(_fields(other) or fields)[0]]:
                chosen[fields[1:]] = name
    if not chosen:
        such = f", found {strange[0]!r}" if strange else ""
        raise CorpusError(f"{media}: no speech of RAVDESS, expected files named like 01-01-06-01-02-01-12.mp4{such}")
    rows = [
        Row(
            name,
            _EMOTIONS[int(key[1]) - 1],
            CORPORA["ravdess"].group_of(PurePosixPath(name).name) or "",
            sentence=_STATEMENTS[int(key[3]) - 1],
        )
        for key, name in chosen.items()
    ]
    notes = [f"{len({row.group for row in rows})} of 24 actors, {len(rows)} of 1440 performances"]
    notes += [f"{further} more files of the same performances are left out"] if further else []
    notes += [f"{sung} songs are left out"] if sung else []
    notes += [f"{len(strange)} files of other names are left out, such as {strange[0]!r}"] if strange else []
    return Release(media, tuple(sorted(rows, key=lambda row: row.clip)), tuple(notes))


def _fields(name: str) -> tuple[str, ...] | None:
    fields = PurePosixPath(name).name.split("-")
    if len(fields) != len(_LARGEST) or not all(len(f) == 2 and f.isdecimal() and f.isascii() for f in fields):
        return None
    inside = all(1 <= int(field) <= most for field, most in zip(fields, _LARGEST, strict=True))
    return tuple(fields) if inside else None
