"""Label files of MERBench: which clips there are, in which split, and what each is labelled."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ramer.config import Merbench
from ramer.data.clip_tables import ClipTable
from ramer.data.corpus import cut_faults
from ramer.data.label_tables import class_names, read_label_table
from ramer.data.merbench_values import DROP, EMOTIONS, OTHER, SENTIMENTS, label_reader
from ramer.data.names import name_problem, on_one_line
from ramer.data.pickled_objects import read_objects
from ramer.errors import CorpusError

_MEMBER = re.compile(r"(train|val|test|whole)\d*_corpus")
_PLACEHOLDERS = ({"neutral"}, {0})  # what MER2024's participants' file gives to the whole of its unlabelled pool


@dataclass
class LabelTable:
    """Rows of a label file in its order.

    Attributes:
        ids: clip names. splits: None where the file names none. labels: names of classes, None where unlabelled.
        groups: what no split may share, None where the clips' names say it. names: of the classes, in order.
        provenance, notes: as ``RawCorpus`` has them.
    """

    ids: list[str] = field(default_factory=list)
    splits: list[str] | None = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    groups: list[str] | None = None
    names: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_labels(path: Path, settings: Merbench) -> LabelTable:
    """Read a label file for one task: the benchmark's ``.npz``, or a CSV as ``ramer labels`` writes it.

    MER2024's participants' file labels its pool with a placeholder: such a split becomes pool rows without labels.

    Raises:
        CorpusError: damaged, a split, clip or label is not what the benchmark's layout knows; one line per fault.
    """
    if path.suffix.lower() == ".csv":
        return _from_csv(path, settings)
    read, members, table = label_reader(settings), _members(path), LabelTable()
    unlabelled = _placeholder_members(members, settings)
    _describe(table, members, unlabelled, settings)
    if len(members) > 1 and members.pop("whole_corpus", None) is not None:
        table.notes.append("whole_corpus is left out: the label file names splits of its own beside it")
    faults: list[str] = []
    first: dict[str, str] = {}
    splits, dropped = [], 0
    for member, clips in members.items():
        split = "pool" if member in unlabelled else re.split(r"\d|_", member)[0]
        for clip, entry in clips.items():
            fault, label = _read_clip(clip, entry, first, (lambda _: None) if split == "pool" else read)
            if fault:
                faults.append(f"{path}: {member}: clip {clip!r}: {fault}")
                continue
            first[clip] = member
            if label is DROP:
                dropped += 1
            else:
                table.ids.append(clip)
                table.labels.append(label)
                splits.append(split)
    if faults:
        raise CorpusError(cut_faults(faults))
    if dropped:
        table.provenance["rows_of_zero_sentiment_left_out"] = dropped
    table.splits = None if set(members) == {"whole_corpus"} else splits
    table.names = _names(table.labels, settings)
    return table


def _from_csv(path: Path, settings: Merbench) -> LabelTable:
    read = read_label_table(path)
    first: dict[str, int] = {}
    faults = _unknown_labels(read, settings)
    for number, row in read.rows:
        if first.setdefault(row["clip"], number) != number:
            faults.append(f"{path}: row {number}: clip: {row['clip']!r} was named before")
        elif problem := name_problem(row["clip"]):
            faults.append(f"{path}: row {number}: clip: {row['clip']!r}: {problem}")
    if faults:
        raise CorpusError(cut_faults(faults))
    rows = [row for _, row in read.rows]
    notes = list(read.notes)
    if _is_placeholder(rows, settings):
        rows = [row | {"label": "", "split": "pool"} if row["split"] == "test" else row for row in rows]
        notes.append("test: all labels are the participants' placeholder: its rows are the pool")
    return LabelTable(
        ids=[row["clip"] for row in rows],
        splits=[row["split"] for row in rows] if "split" in read.columns else None,
        labels=[row["label"] or None for row in rows],
        groups=[row["speaker"] for row in rows] if "speaker" in read.columns else None,
        names=tuple(sorted({row["label"] for row in rows} - {""})),
        notes=notes,
    )


def _unknown_labels(table: ClipTable, settings: Merbench) -> list[str]:
    """Labels of a CSV that the corpus' own list does not hold; a corpus of one's own has no list."""
    known = EMOTIONS.get(settings.dataset) if settings.task == "emotion" else SENTIMENTS[settings.task]
    if known is None or settings.dataset == OTHER:
        return []
    return [
        f"{table.path}: label: {name!r} is none of {', '.join(known)}; corpus.merbench.dataset: {OTHER} takes any"
        for name in class_names(table)
        if name not in known
    ]


def _is_placeholder(rows: list[dict[str, str]], settings: Merbench) -> bool:
    """As ``_placeholder_members``, of the rows of a CSV."""
    held = {split: {row["label"] for row in rows if row.get("split") == split} for split in ("train", "test")}
    return settings.dataset == "mer" and len(held["train"]) > 1 and held["test"] in _PLACEHOLDERS


def _members(path: Path) -> dict[str, Any]:
    members = read_objects(path, lambda name: name.endswith("_corpus"))
    expected = "expected train_corpus, val_corpus, test_corpus, test1_corpus ... or whole_corpus"
    faults = [f"{path}: {on_one_line(m)}: unknown member, {expected}" for m in members if not _MEMBER.fullmatch(m)]
    faults += [] if members else [f"{path}: no member ends in _corpus, {expected}"]
    for member, clips in members.items():
        if not isinstance(clips, dict):
            faults.append(f"{path}: {member}: expected a dict of clips, got {type(clips).__name__}")
    if faults:
        raise CorpusError(faults)
    return members


def _placeholder_members(members: dict[str, Any], settings: Merbench) -> set[str]:
    """Test splits of a MER corpus in which every label is the placeholder, though its training rows hold others."""
    emotions = {
        member: {e["emo"] for e in clips.values() if isinstance(e, dict) and isinstance(e.get("emo"), str | int)}
        for member, clips in members.items()
    }
    if settings.dataset != "mer" or len(emotions.get("train_corpus", ())) < 2:
        return set()
    return {member for member, held in emotions.items() if member.startswith("test") and held in _PLACEHOLDERS}


def _describe(table: LabelTable, members: dict[str, Any], unlabelled: set[str], settings: Merbench) -> None:
    table.provenance["dataset"], table.provenance["task"] = settings.dataset, settings.task
    table.provenance["members"] = {member: len(clips) for member, clips in members.items()}
    if settings.dataset == "mer" and any(member.startswith("test") for member in members):
        table.provenance["label_file_form"] = "participants" if unlabelled else "organisers"
    for member in sorted(unlabelled):
        rows = len(members[member])
        table.notes.append(f"{member}: all {rows} labels are the participants' placeholder: its rows are the pool")


def _read_clip(
    clip: Any, entry: Any, first: dict[str, str], read: Callable[[dict[str, Any]], Any]
) -> tuple[str | None, Any]:
    """What is wrong with one clip, else its label (None: unlabelled, ``DROP``: leave the row out)."""
    if not isinstance(clip, str) or not clip.strip():
        return "expected the name of a file", None
    unsafe = name_problem(clip)
    if unsafe:
        return unsafe, None
    if clip in first:
        return f"also in {first[clip]}, expected each clip once", None
    if not isinstance(entry, dict):
        return f"expected a dict with emo and val, got {type(entry).__name__}", None
    try:
        return None, read(entry)
    except ValueError as error:
        return str(error), None


def _names(labels: list[str | None], settings: Merbench) -> tuple[str, ...]:
    """Class names in the benchmark's order, and those of a corpus of one's own in the alphabet's; only those held."""
    if settings.task != "emotion":
        return SENTIMENTS[settings.task]
    held = {label for label in labels if label is not None}
    return tuple(name for name in EMOTIONS.get(settings.dataset, sorted(held)) if name in held)
