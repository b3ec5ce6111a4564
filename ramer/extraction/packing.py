"""Features and a table of labels as one packed corpus (``corpus.kind: npz``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ramer.data.corpus import UNLABELLED
from ramer.data.prepared import SPLITS
from ramer.errors import CorpusError
from ramer.extraction.clips import read_csv
from ramer.extraction.feature_files import FeatureStore
from ramer.extraction.manifest import FILE_NAME, Manifest
from ramer.files import atomic_file
from ramer.modalities import PACKED_KEYS


def pack_corpus(features: Path, labels: Path, out: Path) -> None:
    """Write an ``.npz`` with ids, label, label_names, A, V, L and, where the table has them, split and speaker.

    Rows follow the table. A row without a label belongs to the pool; a missing modality is a row of NaN.

    Args:
        features: the folder that holds the manifest.
        labels: UTF-8 CSV with the columns clip, label and, if wanted, speaker and split (train, val, test, pool).
        out: the packed corpus.

    Raises:
        CorpusError: a clip that is named twice or was never extracted, an unknown split; one line per fault.
    """
    manifest = Manifest.read(features / FILE_NAME)
    rows = read_csv(labels, required=("clip", "label"))
    _check(rows, manifest, labels)
    columns = rows[0][1].keys()
    names = sorted({row["label"].strip() for _, row in rows} - {""})
    if len(names) < 2:
        raise CorpusError(f"{labels}: label: expected at least two classes, got {len(names)}")
    clips = [row["clip"] for _, row in rows]
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


def _split(row: dict[str, str]) -> str:
    return row["split"].strip() if row["label"].strip() else "pool"


def _check(rows: list[tuple[int, dict[str, str]]], manifest: Manifest, labels: Path) -> None:
    if not rows:
        raise CorpusError(f"{labels}: no row, expected one per clip")
    faults: list[str] = []
    seen: set[str] = set()
    for number, row in rows:
        where = f"{labels}: row {number}: "
        if row["clip"] in seen:
            faults.append(f"{where}clip: {row['clip']!r} was named before")
        elif row["clip"] not in manifest.clips:
            faults.append(f"{where}clip: {row['clip']!r} was not extracted")
        seen.add(row["clip"])
        if "split" in row and _split(row) not in SPLITS:
            faults.append(f"{where}split: {row['split']!r}, expected one of {', '.join(SPLITS)}")
    if faults:
        raise CorpusError(faults)
