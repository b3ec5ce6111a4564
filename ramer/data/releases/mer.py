"""MER2023 to MER2026 (Lian et al.), https://github.com/zeroQiaoba/MERTools: labels of a few, and a large pool.

Each year's tables have their own names. Participants get training labels and candidates, organisers test labels too;
whatever stands as a label beside a candidate is a placeholder and never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ramer.config import Merbench
from ramer.data.clip_tables import read_official_table
from ramer.data.merbench_labels import read_labels
from ramer.data.merbench_values import EMOTIONS
from ramer.data.releases.release import Release, Row, by_last_part, find_table, media_files, paired
from ramer.errors import CorpusError


@dataclass(frozen=True)
class _Year:
    """Names of a year's tables.

    Attributes:
        train: labels.
        test: labels that organisers have.
        media: folder of the clips.
    """

    train: str
    test: str | None
    media: str


_YEARS = {
    "MER2026": _Year("track1_train.csv", "track1_test.csv", "video"),
    "MER2025": _Year("track1_train_disdim.csv", "track1_test_dis.csv", "video"),
    "MER2024": _Year("label-disdim.csv", None, ""),
}
_PROCESSED = ("track1_label_6way.npz", "label-6way.npz")  # as the organisers' toolkit writes them
_FACES = "openface_face"  # CLIP/CLIP.npy, since MER2025
_WORDS = ("subtitle_chieng.csv", "track1_subtitle_chieng.csv", "transcription-engchi-polish.csv")


def read(folder: Path, media: Path | None) -> Release:
    """Labelled clips, and every other clip of the media folder as the pool.

    Raises:
        CorpusError: no table of any year, a label that is none of the six, or hardly any labelled clip has a file.
    """
    for year, names in _YEARS.items():
        if (folder / names.train).exists():
            return _from_tables(folder, media or folder / names.media, year, names)
    table = find_table(folder, *_PROCESSED)
    if table is None:
        known = ", ".join([*(names.train for names in _YEARS.values()), *_PROCESSED])
        raise CorpusError(f"{folder}: no table of MER2023 to MER2026, expected one of {known}")
    return _from_processed(folder, table, media or table.parent / "video")


def _from_tables(folder: Path, media: Path, year: str, names: _Year) -> Release:
    held = by_last_part(media_files(media))
    sentences = _sentences(folder)
    rows: list[Row] = []
    notes: list[str] = []
    labelled: set[str] = set()
    for split, file in (("train", names.train), ("test", names.test)):
        if file is None or not (folder / file).exists():
            continue
        emotions = _emotions(folder / file)
        files = {name: held[name][0] if name in held else name for name in emotions}
        clips, told = paired(folder / file, files, [found[0] for found in held.values()], names_all=False)
        notes += told
        rows += [Row(clip, emotions[name], "", split, sentences.get(name)) for name, clip in clips.items()]
        labelled |= set(emotions)
    form = "organisers" if any(row.split == "test" for row in rows) else "participants"
    pool = [name for name in held if name not in labelled]
    rows += [Row(held[name][0], "", "", "pool", sentences.get(name)) for name in pool]
    notes.insert(0, f"{year}, the {form}' form: {len(rows) - len(pool)} labelled clips, {len(pool)} in the pool")
    faces = folder / _FACES
    return Release(media, tuple(rows), tuple(notes), faces if faces.is_dir() else None)


def _emotions(table: Path) -> dict[str, str]:
    emotions: dict[str, str] = {}
    faults = []
    for number, cells in read_official_table(table, ("name", "discrete")):
        name, emotion = cells["name"].strip(), cells["discrete"].strip()
        if emotion not in EMOTIONS["mer"]:
            faults.append(f"{table}: row {number}: discrete: {emotion!r}, expected one of {', '.join(EMOTIONS['mer'])}")
        emotions[name] = emotion
    if faults:
        raise CorpusError(faults)
    return emotions


def _from_processed(folder: Path, path: Path, media: Path) -> Release:
    table = read_labels(path, Merbench(dataset="mer"))
    held = by_last_part(media_files(media))
    sentences = _sentences(folder)
    splits = table.splits or [""] * len(table.ids)
    files = {name: held[name][0] if name in held else name for name in table.ids}
    clips, notes = paired(path, files, [found[0] for found in held.values()])
    rows = [
        Row(clips[name], label or "", "", split, sentences.get(name))
        for name, label, split in zip(table.ids, table.labels, splits, strict=True)
        if name in clips
    ]
    return Release(media, tuple(rows), (*table.notes, *notes))


def _sentences(folder: Path) -> dict[str, str]:
    """The Chinese words of each clip, which the models of the field read."""
    table = find_table(folder, *_WORDS)
    if table is None:
        return {}
    return {cells["name"].strip(): cells["chinese"] for _, cells in read_official_table(table, ("name", "chinese"))}
