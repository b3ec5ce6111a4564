"""MELD (Poria et al. 2019), https://github.com/declare-lab/MELD: a table for each split, a folder of clips for each."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from ramer.data.clip_tables import read_official_table
from ramer.data.corpora import CORPORA
from ramer.data.releases.release import Release, Row, find_table, media_files, paired
from ramer.errors import CorpusError

_SPLITS = {"train": "train", "dev": "val", "test": "test"}
_COLUMNS = ("Utterance", "Emotion", "Dialogue_ID", "Utterance_ID")
_CLIP = re.compile(r"dia\d+_utt\d+")
# Windows' punctuation that went into the tables as control characters.
_WINDOWS = {code: bytes([code]).decode("cp1252", "replace") for code in range(0x80, 0xA0)}


def read(folder: Path, media: Path | None) -> Release:
    """One row an utterance that has a clip; its group is the dialogue, which is numbered anew in each split.

    Raises:
        CorpusError: a table is absent or names hardly any of the clips.
    """
    media = media or folder
    held = [name for name in media_files(media) if _CLIP.fullmatch(PurePosixPath(name).name)]
    rows: list[Row] = []
    notes: list[str] = []
    for official, split in _SPLITS.items():
        path = find_table(folder, f"{official}_sent_emo.csv")
        if path is None:
            raise CorpusError(f"{folder}: no {official}_sent_emo.csv in it or below, expected MELD's three tables")
        cells = {f"dia{r['Dialogue_ID']}_utt{r['Utterance_ID']}": r for _, r in read_official_table(path, _COLUMNS)}
        files = {PurePosixPath(name).name: name for name in held if _split_of(name) == official}
        clips, told = paired(path, {name: files.get(name, name) for name in cells}, files.values())
        notes += told
        for name, clip in clips.items():
            group = f"{split}_{CORPORA['meld'].group_of(name)}"
            sentence = cells[name]["Utterance"].translate(_WINDOWS)
            rows.append(Row(clip, cells[name]["Emotion"].strip().lower(), group, split, sentence))
    return Release(media, tuple(rows), tuple(notes))


def _split_of(name: str) -> str | None:
    """The split whose folder a clip lies in: train_splits, dev_splits_complete, output_repeated_splits_test."""
    folders = [part.lower() for part in PurePosixPath(name).parts[:-1]]
    return next((split for part in reversed(folders) for split in _SPLITS if split in part), None)
