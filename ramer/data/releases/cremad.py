"""CREMA-D (Cao et al. 2014), https://github.com/CheyneyComputerScience/CREMA-D: everything is in the files' names."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from ramer.data.releases.release import Release, Row, media_files
from ramer.errors import CorpusError

_EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
_SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX|X)")
_MEDIA = ("VideoFlash", "AudioWAV", "AudioMP3")  # the pictures have the sound with them


def read(folder: Path, media: Path | None) -> Release:
    """One row a clip; the folder of pictures if the release is there with it, or else that of sounds.

    Raises:
        CorpusError: no file is named as CREMA-D's are.
    """
    media = media or next((folder / name for name in _MEDIA if (folder / name).is_dir()), folder)
    rows, strange = [], []
    for name in media_files(media):
        found = _NAME.fullmatch(PurePosixPath(name).name)
        if found is None or found[3] not in _EMOTIONS:
            strange.append(name)
        else:
            rows.append(Row(name, _EMOTIONS[found[3]], found[1], sentence=_SENTENCES.get(found[2])))
    if not rows:
        such = f", found {strange[0]!r}" if strange else ""
        raise CorpusError(f"{media}: no clip of CREMA-D, expected files named like 1001_DFA_ANG_XX.wav{such}")
    notes = [f"{len({row.group for row in rows})} of 91 actors, {len(rows)} of 7442 clips"]
    notes += [f"{len(strange)} files of other names are left out, such as {strange[0]!r}"] if strange else []
    return Release(media, tuple(rows), tuple(notes))
