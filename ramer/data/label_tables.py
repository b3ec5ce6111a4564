"""Tables of labels as people write them, and ``ramer labels`` does: clip, label and, if wanted, speaker and split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ramer.data.classes import class_faults
from ramer.data.clip_tables import ClipTable, read_clip_table
from ramer.data.corpus import cut_faults
from ramer.data.prepared import SPLITS
from ramer.data.speakers import speaker_notes
from ramer.errors import CorpusError

COLUMNS = ("clip", "label", "speaker", "split")


def read_label_table(path: Path) -> ClipTable:
    """A table of labels, all cells without spaces around them; whether its clips exist is not looked at.

    Args:
        path: UTF-8 CSV with the columns clip, label and, if wanted, speaker and split (train, val, test, pool). A row
            without a label belongs to the pool: its split, if there is that column, reads pool. A row of the pool
            keeps no label.

    Raises:
        CorpusError: not such a table, no row, an unknown split or labels that are no classes; one line per fault.
    """
    read = read_clip_table(path, required=COLUMNS[:2], optional=COLUMNS[2:])
    if not read.rows:
        raise CorpusError(f"{path}: no row, expected one per clip")
    rows = read.rows
    for _, row in rows:  # in place: a table may be most of what memory holds
        row.update({column: cell.strip() for column, cell in row.items()})
    labelled = Counter(row["label"] for _, row in rows if row["label"])
    faults = [f"{path}: label: {fault}" for fault in class_faults(sorted(labelled), labelled)]
    if not faults and len(labelled) < 2:
        faults = [f"{path}: label: expected at least two classes, got {len(labelled)}"]
    if "split" in read.columns:
        rows = tuple((number, _pooled(row)) for number, row in rows)
        faults += [
            f"{path}: row {number}: split: {row['split']!r}, expected one of {', '.join(SPLITS)}"
            for number, row in rows
            if row["split"] not in SPLITS
        ]
    elif len(rows) > labelled.total():
        split = {True: "train", False: "pool"}
        rows = tuple((number, row | {"split": split[bool(row["label"])]}) for number, row in rows)
    if faults:
        raise CorpusError(cut_faults(faults))
    notes = [f"{path}: {note}" for note in speaker_notes(row.get("speaker") for _, row in rows)]
    return ClipTable(path, tuple(rows[0][1]), rows, (*read.notes, *notes))


def _pooled(row: dict[str, str]) -> dict[str, str]:
    """A row as it is, or without a label and in the pool where it is either: folds would deal its label out."""
    return row | {"label": "", "split": "pool"} if not row["label"] or row["split"] == "pool" else row


def class_names(table: ClipTable) -> list[str]:
    """Names of the classes in a table of labels, sorted."""
    return sorted({row["label"] for _, row in table.rows} - {""})
