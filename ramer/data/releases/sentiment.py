"""CMU-MOSI, CMU-MOSEI, CH-SIMS and CH-SIMS v2 as MMSA hands them out: ``label.csv`` and ``Raw/<video>/<clip>.mp4``.

The label is a number from -3 to 3, or from -1 to 1: below 0 is the class negative, the others are nonnegative. MMSA,
https://github.com/thuiar/MMSA; CH-SIMS v2, https://github.com/thuiar/ch-sims-v2.
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

from ramer.data.clip_tables import read_official_table
from ramer.data.releases.release import Release, Row, find_table, media_files, paired
from ramer.errors import CorpusError

_SPLITS = {"train": "train", "valid": "val", "val": "val", "dev": "val", "test": "test"}
_COLUMNS = ("video_id", "clip_id", "text", "label", "mode")


def read(folder: Path, media: Path | None) -> Release:
    """One row a clip; its group is the video.

    Tables and files number the clips of a video in two ways, 1 and 0001: they are compared as numbers.

    Raises:
        CorpusError: no table, a label that is no number, or hardly any clip has a file.
    """
    table = find_table(folder, "label.csv", "meta.csv")
    if table is None:
        raise CorpusError(f"{folder}: no label.csv in it or below, expected the table that MMSA hands out")
    raw = table.parent / "Raw"
    media = media or (raw if raw.is_dir() else table.parent)
    held = media_files(media)
    files = {_key(*PurePosixPath(name).parts[-2:]): name for name in held if "/" in name}
    # Files of the kind <video>_<clip>, as MERBench and CMU's own segments have them.
    files |= {
        _key(*name.rpartition("_")[::2]): full for full in held if "_" in (name := PurePosixPath(full).name)
    } | files
    faults: list[str] = []
    found: dict[str, Row] = {}
    for number, cells in read_official_table(table, _COLUMNS):
        video, clip = cells["video_id"].strip(), cells["clip_id"].strip()
        label, split, fault = _judged(cells["label"].strip(), cells["mode"].strip().lower())
        if fault:
            faults.append(f"{table}: row {number}: {fault}")
            continue
        name = f"{video}/{clip}"
        found[name] = Row(files.get(_key(video, clip), name), label, video, split, cells["text"])
    if faults:
        raise CorpusError(faults)
    clips, notes = paired(table, {name: row.clip for name, row in found.items()}, list(files.values()))
    return Release(media, tuple(found[name] for name in clips), tuple(notes))


def _key(video: str, clip: str) -> tuple[str, str]:
    return video, str(int(clip)) if clip.isdecimal() else clip


def _judged(label: str, mode: str) -> tuple[str, str, str]:
    """Class, split and what is wrong with a row."""
    if mode not in _SPLITS:
        return "", "", f"mode: {mode!r}, expected one of {', '.join(_SPLITS)}"
    if not label:
        return "", "pool", ""
    try:
        value = float(label)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        return "", "", f"label: {label!r}, expected a number"
    return ("negative" if value < 0 else "nonnegative"), _SPLITS[mode], ""
