"""Corpora in the layout of MERBench: a label file of pickled dicts and one folder of features per modality."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ramer.config import Merbench
from ramer.data.corpora import CORPORA
from ramer.data.corpus import UNLABELLED, RawCorpus, strings
from ramer.data.merbench_features import FolderSource
from ramer.data.merbench_labels import read_labels
from ramer.errors import CorpusError
from ramer.files import digest_file, digest_strings
from ramer.modalities import MODALITIES

CACHE = ".prepare-merbench"


def read_merbench(root: Path, settings: Merbench, scratch: Path) -> RawCorpus:
    """Open a corpus of the benchmark; features are read when they are written.

    Args:
        root: the folder that ``settings`` name their files in.
        scratch: folder in which what has been read is kept until ``release``, so that an interrupted run resumes.

    Raises:
        CorpusError: a file or folder is absent or damaged, a label unknown; one line per fault.
    """
    label_file = root / settings.label_file
    table = read_labels(label_file, settings)
    ids = strings(table.ids)
    digest = digest_file(label_file)
    cache = scratch / CACHE
    key = digest_strings([digest, str(root.resolve()), settings.model_dump_json()])[:16]
    groups = table.groups or _groups(label_file, table.ids, settings.dataset)
    unit = CORPORA[settings.dataset].unit if settings.dataset in CORPORA else None
    sources = _sources(root, settings, ids, cache / key)
    number: dict[str | None, int] = {None: UNLABELLED, **{name: i for i, name in enumerate(table.names)}}
    return RawCorpus(
        name=settings.dataset if settings.task == "emotion" else f"{settings.dataset}_{settings.task}",
        source=str(label_file),
        ids=ids,
        speakers=strings(groups),
        labels=np.array([number[label] for label in table.labels], dtype=np.int64),
        label_names=table.names,
        splits=None if table.splits is None else np.array(table.splits, dtype=object),
        sources=dict(sources),
        group_name=unit or ("speaker" if table.groups else None),
        provenance={**table.provenance, "kind": "merbench", "label_file_sha256": digest},
        notes=(*table.notes, *(note for source in sources.values() if source for note in source.notes)),
        release=lambda: shutil.rmtree(cache, ignore_errors=True),
    )


def _groups(path: Path, ids: list[str], dataset: str) -> list[str | None]:
    """What a clip's name says about who is in it; None where it says nothing."""
    if dataset not in CORPORA:
        return [None] * len(ids)
    parts = [clip.rpartition("/") for clip in ids]  # a sub-folder is no part of the benchmark's names
    found = [CORPORA[dataset].group_of(name) for _, _, name in parts]
    if dataset in ("iemocap4", "iemocap6"):
        for clip, session in zip(ids, found, strict=True):
            if session is None:
                raise CorpusError(f"{path}: clip {clip!r}: expected the session as fifth character")
        return found
    return [folder + slash + group if group else None for (folder, slash, _), group in zip(parts, found, strict=True)]


def _sources(root: Path, settings: Merbench, ids: np.ndarray, cache: Path) -> dict[str, FolderSource | None]:
    sources: dict[str, FolderSource | None] = {}
    faults: list[str] = []
    for modality in MODALITIES:
        folder = settings.features.of(modality)
        sources[modality] = None
        try:
            if folder is not None:
                sources[modality] = FolderSource(root / folder, ids, cache / modality)
        except CorpusError as error:
            faults += error.faults
    if faults:
        raise CorpusError(faults)
    return sources
