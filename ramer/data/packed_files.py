"""A corpus of whatever kind as a packed file, which ``read_npz`` reads as the same corpus."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from ramer.data.corpus import FeatureSource, RawCorpus
from ramer.files import atomic_file
from ramer.modalities import PACKED_KEYS


def pack_raw_corpus(corpus: RawCorpus, folder: Path) -> Path:
    """Write a corpus as ``<its name>.npz``: a block of vectors in memory at a time, the same bytes for the same rows.

    Names are kept where they can be those of files. What the corpus calls its groups, where it came from and its notes
    are not in a packed file.

    Returns:
        The file.
    """
    name = re.sub(r"[^\w.-]", "_", corpus.name).strip(".") or "corpus"
    path = folder / f"{name}.npz"
    columns: dict[str, np.ndarray] = {
        "ids": _texts(corpus.ids),
        "label": np.asarray(corpus.labels, dtype=np.int64),
        "label_names": np.array(corpus.label_names, dtype=str),
    }
    if corpus.splits is not None:
        columns["split"] = _texts(corpus.splits)
    if any(speaker is not None for speaker in corpus.speakers):
        columns["speaker"] = _texts(corpus.speakers)
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key, column in columns.items():
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w") as member:
                npy.write_array(member, column, allow_pickle=False)
        for modality, source in corpus.sources.items():
            if source is not None:
                _write_matrix(archive, PACKED_KEYS[modality], source, corpus.rows)
    return path


def _write_matrix(archive: zipfile.ZipFile, key: str, source: FeatureSource, rows: int) -> None:
    with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, source.dim)}
        npy.write_array_header_1_0(member, header)
        for block in source.blocks():
            member.write(np.ascontiguousarray(block, dtype="<f4").tobytes())


def _texts(values: Sequence[object] | np.ndarray) -> np.ndarray:
    return np.array(["" if value is None else str(value) for value in values], dtype=str)
