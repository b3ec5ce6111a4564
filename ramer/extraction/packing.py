"""Features and a table of labels as one packed corpus (``corpus.kind: npz``)."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np

from ramer.data.classes import class_faults
from ramer.data.clip_tables import ClipTable, read_clip_table
from ramer.data.corpus import UNLABELLED, cut_faults
from ramer.data.pairing import pair_names
from ramer.data.prepared import SPLITS
from ramer.errors import CorpusError
from ramer.extraction.clips import without_suffix
from ramer.extraction.feature_files import FeatureStore
from ramer.extraction.manifest import FILE_NAME, Manifest
from ramer.files import atomic_file
from ramer.modalities import PACKED_KEYS

log = logging.getLogger(__name__)


def pack_corpus(features: Path, labels: Path, out: Path) -> None:
    """Write an ``.npz`` with ids, label, label_names, A, V, L and, where the table has them, split and speaker.

    Rows follow the table. A row without a label belongs to the pool; a missing modality is a row of NaN. Clips that the
    table does not name are left out and counted in a warning.

    Args:
        features: the folder that holds the manifest.
        labels: UTF-8 CSV with the columns clip, label and, if wanted, speaker and split (train, val, test, pool).
        out: the packed corpus.

    Raises:
        CorpusError: a clip that is named twice or was never extracted, an unknown split, labels that are no classes;
            one line per fault.
    """
    manifest = Manifest.read(features / FILE_NAME)
    table = read_label_table(labels)
    columns = table.columns
    rows = [(number, row | {"clip": without_suffix(row["clip"], manifest.clips)}) for number, row in table.rows]
    _check(rows, manifest, labels)
    names = sorted({row["label"].strip() for _, row in rows} - {""})
    clips = [row["clip"] for _, row in rows]
    for note in (*table.notes, *_left_out(clips, manifest, labels)):
        log.warning("%s", note)
    written = [row["label"].strip() for _, row in rows]
    arrays = {
        "ids": np.array(clips),
        "label": np.array([names.index(label) if label else UNLABELLED for label in written], dtype=np.int64),
        "label_names": np.array(names),
    }
    if "split" in columns:
        arrays["split"] = np.array([_split(row) for _, row in rows])
    elif "" in written:
        arrays["split"] = np.array(["train" if label else "pool" for label in written])
    if "speaker" in columns:
        arrays["speaker"] = np.array([row["speaker"].strip() for _, row in rows])
    store = FeatureStore(features, manifest)
    for modality in manifest.settings.modalities:
        if modality in manifest.dims:
            matrix = np.full((len(clips), manifest.dims[modality]), np.nan, dtype=np.float32)
            for row, clip in enumerate(clips):
                vector = store.vector(modality, clip)
                if vector is not None:
                    matrix[row] = vector
            arrays[PACKED_KEYS[modality]] = matrix
    with atomic_file(out) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_label_table(labels: Path) -> ClipTable:
    """A table of labels whose labels are classes and whose splits are known; whether its clips exist is not looked at.

    Raises:
        CorpusError: as ``pack_corpus``.
    """
    table = read_clip_table(labels, required=("clip", "label"), optional=("speaker", "split"))
    if not table.rows:
        raise CorpusError(f"{labels}: no row, expected one per clip")
    rows = Counter(row["label"].strip() for _, row in table.rows if row["label"].strip())
    faults = [f"{labels}: label: {fault}" for fault in class_faults(sorted(rows), rows)]
    if not faults and len(rows) < 2:
        faults = [f"{labels}: label: expected at least two classes, got {len(rows)}"]
    faults += [
        f"{labels}: row {number}: split: {row['split']!r}, expected one of {', '.join(SPLITS)}"
        for number, row in table.rows
        if "split" in row and _split(row) not in SPLITS
    ]
    if faults:
        raise CorpusError(cut_faults(faults))
    return table


def _left_out(clips: list[str], manifest: Manifest, labels: Path) -> list[str]:
    pairing = pair_names(clips, manifest.clips.keys())
    return [f"{labels}: {pairing.said('rows', 'clips that were extracted')}"] if pairing.unused else []


def _split(row: dict[str, str]) -> str:
    return row["split"].strip() if row["label"].strip() else "pool"


def _check(rows: list[tuple[int, dict[str, str]]], manifest: Manifest, labels: Path) -> None:
    faults: list[str] = []
    first: dict[str, int] = {}
    for number, row in rows:
        where = f"{labels}: row {number}: clip: {row['clip']!r} "
        if first.setdefault(row["clip"], number) != number:
            faults.append(f"{where}was named before")
        elif row["clip"] not in manifest.clips:
            faults.append(f"{where}was not extracted")
    pairing = pair_names(first, manifest.clips.keys())
    if pairing.offers:
        faults.insert(0, f"{labels}: {pairing.said('rows', 'clips that were extracted')}")
    if faults:
        raise CorpusError(cut_faults(faults))
