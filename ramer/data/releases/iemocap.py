"""IEMOCAP (Busso et al. 2008), https://sail.usc.edu/iemocap/: labels and words beside the dialogues of each session."""

from __future__ import annotations

import re
from pathlib import Path

from ramer.data.corpora import CORPORA
from ramer.data.releases.release import Release, Row, by_last_part, media_files, paired
from ramer.errors import CorpusError
from ramer.opening import read_regular

# The four classes of the field join excited to happy; the six keep both and add frustrated.
_FOUR = {"hap": "happy", "exc": "happy", "sad": "sad", "neu": "neutral", "ang": "angry"}
_SIX = _FOUR | {"exc": "excited", "fru": "frustrated"}
_EVALUATED = re.compile(r"^\[[\d.]+ - [\d.]+\]\t(Ses\w+)\t(\w{3})\t", re.MULTILINE)
_SPOKEN = re.compile(r"^(Ses\w+) \[[\d.]+-[\d.]+\]: ?(.*)$", re.MULTILINE)
_MOST_BYTES = 1 << 20  # of one dialogue's file


def read_four(folder: Path, media: Path | None) -> Release:
    """Clips labelled happy (with excited), sad, neutral or angry; see ``read_six``."""
    return _read(folder, media, _FOUR)


def read_six(folder: Path, media: Path | None) -> Release:
    """Clips labelled happy, sad, neutral, angry, excited or frustrated; the group is the session.

    Raises:
        CorpusError: no evaluations, or hardly any utterance has a file.
    """
    return _read(folder, media, _SIX)


def _read(folder: Path, media: Path | None, classes: dict[str, str]) -> Release:
    media = media or folder
    labels = dict(_found(folder, "EmoEvaluation", _EVALUATED))
    if not labels:
        raise CorpusError(f"{folder}: no Session*/dialog/EmoEvaluation/*.txt, expected the whole release of IEMOCAP")
    sentences = dict(_found(folder, "transcriptions", _SPOKEN))
    files = {name: found[0] for name, found in by_last_part(media_files(media)).items()}
    kept = {name: files.get(name, name) for name, label in labels.items() if label in classes}
    # Files of utterances with other labels, and of whole dialogues, are no fault.
    clips, notes = paired(folder, kept, list(files.values()), names_all=False)
    rows = tuple(
        Row(clip, classes[labels[name]], CORPORA["iemocap4"].group_of(name) or "", sentence=sentences.get(name))
        for name, clip in sorted(clips.items())
    )
    notes.append(f"{len(labels) - len(kept)} utterances of other labels, or of none that judges agree on, are left out")
    return Release(media, rows, tuple(notes))


def _found(folder: Path, kind: str, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for path in sorted(folder.glob(f"Session*/dialog/{kind}/*.txt")):
        if not path.name.startswith("."):
            try:
                text = read_regular(path, _MOST_BYTES).decode("utf-8", "replace")
            except OSError as error:
                raise CorpusError(f"{path}: cannot be read: {error.strerror}") from None
            pairs += [(found[1], found[2].strip()) for found in pattern.finditer(text)]
    return pairs
