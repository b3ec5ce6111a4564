"""Features of clips to predict: a packed npz or a folder of MERBench feature folders, anything missing."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ramer.errors import RamerError
from ramer.modalities import LETTERS, MODALITIES

PACKED_KEYS = {"audio": "A", "video": "V", "text": "L"}  # the field's letters: acoustic, visual, lexical

Features = dict[str, np.ndarray | None]


def read_features(source: Path, folders: Mapping[str, str | None]) -> tuple[list[str], Features]:
    """Ids and raw vectors of the clips in ``source``.

    Args:
        source: an ``.npz`` with ``ids`` and any of ``A, V, L`` [n, dim], NaN or zero rows missing; or a folder.
        folders: per modality the feature folder below ``source`` (``<clip>.npy``, (D,) or (T, D)).

    Returns:
        Ids and per modality float32 [n, dim] with NaN rows where missing, None where no clip has it.

    Raises:
        RamerError: one line per fault, naming file, key or row.
    """
    if source.is_dir():
        return _read_folders(source, folders)
    if source.is_file():
        return _read_packed(source)
    raise RamerError(f"{source}: no such file or folder, expected an npz or a folder of features")


def drop_modalities(features: Features, letters: str) -> Features:
    """Set the modalities that ``letters`` names to missing."""
    unknown = sorted(set(letters) - set(LETTERS.values()))
    if unknown:
        raise RamerError(f"--drop: {''.join(unknown)!r} names no modality, expected letters of a, v, t")
    return {m: None if LETTERS[m] in letters else features.get(m) for m in MODALITIES}


def mark_missing(vectors: np.ndarray) -> np.ndarray:
    """Zero vectors become NaN: nothing was extracted (protocol rule 11)."""
    vectors = np.array(vectors, dtype=np.float32)
    vectors[~vectors.any(axis=1)] = np.nan
    return vectors


def _read_packed(source: Path) -> tuple[list[str], Features]:
    try:
        with np.load(source, allow_pickle=False) as file:
            arrays = {key: file[key] for key in ("ids", *PACKED_KEYS.values()) if key in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise RamerError(f"{source}: not a readable npz ({' '.join(str(error).split())})") from None
    held = [key for key in PACKED_KEYS.values() if key in arrays]
    if "ids" not in arrays or not held:
        raise RamerError(f"{source}: expected the key ids and at least one of A, V, L, got {', '.join(arrays)}")
    ids = [str(i) for i in arrays["ids"].tolist()]
    faults = [
        f"{source}: {key}: expected a numeric matrix of {len(ids)} rows, got {arrays[key].dtype} {arrays[key].shape}"
        for key in held
        if arrays[key].ndim != 2 or len(arrays[key]) != len(ids) or arrays[key].dtype.kind not in "fiu"
    ]
    if faults:
        raise RamerError(faults)
    features: Features = {m: mark_missing(arrays[key]) if key in arrays else None for m, key in PACKED_KEYS.items()}
    return ids, features


def _read_folders(source: Path, folders: Mapping[str, str | None]) -> tuple[list[str], Features]:
    named = {m: source / name for m, name in folders.items() if name}
    if not named:
        raise RamerError(f"{source}: name at least one feature folder below it with --audio, --video or --text")
    # Clip names may hold dots, so only the ending is cut.
    files = {m: {p.name.removesuffix(".npy"): p for p in sorted(f.glob("*.npy"))} for m, f in named.items()}
    empty = [f"{named[m]}: no .npy files there, expected one per clip" for m, found in files.items() if not found]
    if len(empty) == len(files):
        raise RamerError(empty)
    ids = sorted(set().union(*files.values()))
    features: Features = dict.fromkeys(MODALITIES)
    faults: list[str] = []
    for m, found in files.items():
        if found:
            features[m] = _stack(ids, found, faults)
    if faults:
        raise RamerError(faults[:20])
    return ids, features


def _stack(ids: list[str], files: Mapping[str, Path], faults: list[str]) -> np.ndarray | None:
    vectors: dict[str, np.ndarray] = {}
    for clip, path in files.items():
        try:
            vector = np.load(path, allow_pickle=False)
            if vector.ndim not in (1, 2) or vector.dtype.kind not in "fiu" or vector.shape[-1] == 0:
                raise ValueError(f"expected numbers of shape (D,) or (T, D), got {vector.dtype} {vector.shape}")
        except (OSError, ValueError, EOFError) as error:
            faults.append(f"{path}: not a feature file ({' '.join(str(error).split())})")
            continue
        if vector.size:
            vectors[clip] = vector.mean(axis=0) if vector.ndim == 2 else vector
    widths = sorted({v.shape[0] for v in vectors.values()})
    if len(widths) > 1:
        faults.append(f"{next(iter(files.values())).parent}: expected one length for all clips, got {widths}")
    if len(widths) != 1:
        return None
    out = np.full((len(ids), widths[0]), np.nan, dtype=np.float32)
    for i, clip in enumerate(ids):
        if clip in vectors:
            out[i] = vectors[clip]
    return mark_missing(out)
