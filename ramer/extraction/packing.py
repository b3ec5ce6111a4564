"""Features and a table of labels as one packed corpus (``corpus.kind: npz``)."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ramer.data.corpus import UNLABELLED, cut_faults
from ramer.data.label_tables import class_names, read_label_table
from ramer.data.pairing import pair_names
from ramer.errors import CorpusError
from ramer.extraction.clips import read_transcripts, without_suffix
from ramer.extraction.feature_files import FeatureStore
from ramer.extraction.manifest import FILE_NAME, Manifest
from ramer.extraction.media_files import find_media
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
    rows = [(number, row | {"clip": without_suffix(row["clip"], manifest.clips)}) for number, row in table.rows]
    _check(rows, manifest, labels)
    names, clips = class_names(table), [row["clip"] for _, row in rows]
    for note in (*table.notes, *_left_out(clips, manifest, labels)):
        log.warning("%s", note)
    numbers = [names.index(row["label"]) if row["label"] else UNLABELLED for _, row in rows]
    arrays = {
        "ids": np.array(clips),
        "label": np.array(numbers, dtype=np.int64),
        "label_names": np.array(names),
    }
    for column in ("split", "speaker"):
        if column in table.columns:
            arrays[column] = np.array([row[column] for _, row in rows])
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


def check_labels(labels: Path, media: Path, transcripts: Path | None = None) -> None:
    """Refuse a table of labels before anything is extracted: one that cannot be used, or that names other clips.

    Raises:
        CorpusError: as ``pack_corpus``, or hardly any row names a file of ``media`` or a row of ``transcripts``.
    """
    table = read_label_table(labels)
    found = find_media(media)
    clips = found.sounds.keys() | found.videos.keys()
    if transcripts is not None:
        clips |= {without_suffix(clip, clips) for clip, _ in read_transcripts(transcripts).values()}
    pairing = pair_names((without_suffix(row["clip"], clips) for _, row in table.rows), clips)
    if pairing.hardly_any:
        raise CorpusError(f"{labels}: {pairing.said('rows', 'clips')}")


def _left_out(clips: list[str], manifest: Manifest, labels: Path) -> list[str]:
    pairing = pair_names(clips, manifest.clips.keys())
    return [f"{labels}: {pairing.said('rows', 'clips that were extracted')}"] if pairing.unused else []


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
