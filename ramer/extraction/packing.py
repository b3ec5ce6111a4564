"""Features and a table of labels as one packed corpus (``corpus.kind: npz``)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from ramer.data.clip_tables import ClipTable
from ramer.data.corpus import UNLABELLED, cut_faults
from ramer.data.label_tables import class_names, read_label_table
from ramer.data.pairing import Pairing, pair_names
from ramer.errors import CorpusError
from ramer.extraction.clips import read_transcripts, without_suffix
from ramer.extraction.feature_store import FeatureStore
from ramer.extraction.manifest import FILE_NAME, Manifest
from ramer.extraction.media_files import find_media
from ramer.files import atomic_file
from ramer.modalities import PACKED_KEYS

log = logging.getLogger(__name__)


def pack_corpus(features: Path, labels: Path, out: Path) -> None:
    """Write an ``.npz`` with ids, label, label_names, A, V, L and, where the table has them, split and speaker.

    Rows follow the table. A row without a label belongs to the pool; a missing modality is a row of NaN. Clips that the
    table does not name, and a few rows whose clip was not extracted, are left out and counted in a warning.

    Args:
        features: the folder that holds the manifest.
        labels: UTF-8 CSV with the columns clip, label and, if wanted, speaker and split (train, val, test, pool).
        out: the packed corpus.

    Raises:
        CorpusError: a clip that is named twice, half of the clips or more were never extracted or are written in
            another way, an unknown split, labels that are no classes; one line per fault.
    """
    manifest = Manifest.read(features / FILE_NAME)
    table = _extracted(_read(labels, manifest.clips), manifest)
    names, clips = class_names(table), [row["clip"] for _, row in table.rows]
    numbers = [names.index(row["label"]) if row["label"] else UNLABELLED for _, row in table.rows]
    arrays = {
        "ids": np.array(clips),
        "label": np.array(numbers, dtype=np.int64),
        "label_names": np.array(names),
    }
    for column in ("split", "speaker"):
        if column in table.columns:
            arrays[column] = np.array([row[column] for _, row in table.rows])
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


def check_labels(labels: Path, media: Path, transcripts: Path | None = None, features: Path | None = None) -> None:
    """Refuse a table of labels before anything is extracted: one that cannot be used, or that names other clips.

    Args:
        labels: as of ``pack_corpus``.
        media: folder of clips. transcripts: table whose rows are clips, too. features: where earlier clips are kept.

    Raises:
        CorpusError: as ``pack_corpus`` would.
    """
    found = find_media(media)
    clips = found.sounds.keys() | found.videos.keys()
    if transcripts is not None:
        clips |= {without_suffix(clip, clips) for clip, _ in read_transcripts(transcripts).values()}
    if features is not None and (features / FILE_NAME).exists():
        clips |= Manifest.read(features / FILE_NAME).clips.keys()
    table = _read(labels, clips)
    pairing = pair_names((row["clip"] for _, row in table.rows), clips)
    if clips and _too_few(pairing):
        raise CorpusError(f"{labels}: {pairing.said('rows', 'clips')}")


def _read(labels: Path, clips: Collection[str]) -> ClipTable:
    """A table of labels with the names of clips as they are, each once."""
    table = read_label_table(labels)
    rows = tuple((number, row | {"clip": without_suffix(row["clip"], clips)}) for number, row in table.rows)
    first: dict[str, int] = {}
    faults = [
        f"{labels}: row {number}: clip: {row['clip']!r} was named before"
        for number, row in rows
        if first.setdefault(row["clip"], number) != number
    ]
    if faults:
        raise CorpusError(cut_faults(faults))
    return replace(table, rows=rows)


def _too_few(pairing: Pairing) -> bool:
    """Whether rows name clips in another way, or half of them or more name none."""
    return bool(pairing.offers) or 2 * len(pairing.unmatched) >= pairing.wanted


def _extracted(table: ClipTable, manifest: Manifest) -> ClipTable:
    """The rows whose clip was extracted; what else does not pair is said, or refused where it is more than a few."""
    pairing = pair_names((row["clip"] for _, row in table.rows), manifest.clips.keys())
    said, lacking = f"{table.path}: {pairing.said('rows', 'clips that were extracted')}", set(pairing.unmatched)
    if _too_few(pairing):
        faults = [
            f"{table.path}: row {number}: clip: {row['clip']!r} was not extracted"
            for number, row in table.rows
            if row["clip"] in lacking
        ]
        raise CorpusError(cut_faults([said, *faults] if pairing.offers else faults))
    for note in (*table.notes, *([f"{said}; left out"] if lacking or pairing.unused else [])):
        log.warning("%s", note)
    return replace(table, rows=tuple((number, row) for number, row in table.rows if row["clip"] not in lacking))
