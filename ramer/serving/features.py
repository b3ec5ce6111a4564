"""Features of clips to predict: a packed npz or a folder of MERBench feature folders, anything missing."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from ramer.array_files import in_single
from ramer.data.clip_vectors import load_vector
from ramer.data.corpus import strings
from ramer.data.folders import FolderWalk
from ramer.data.media_kinds import MEDIA_KINDS, MEDIA_SUFFIXES
from ramer.data.merbench_features import clip_paths, frame_folders
from ramer.data.names import is_text
from ramer.data.npy import UNREADABLE, damage, open_archive
from ramer.data.packed_keys import COLUMNS, MATRICES, meant_notes, read_column
from ramer.errors import RamerError
from ramer.modalities import LETTERS, MODALITIES, PACKED_KEYS

Features = dict[str, np.ndarray | None]
MOST_NAMED = 20  # faulty files named in one message
_MOST_MATRIX_BYTES = 1 << 32  # of a matrix that is predicted from at once

log = logging.getLogger(__name__)


def read_features(
    source: Path, folders: Mapping[str, str | None], *, frames: bool = False
) -> tuple[list[str], Features]:
    """Ids and raw vectors of the clips in ``source``.

    Args:
        source: an ``.npz`` with ``ids`` and any of ``A, V, L`` [n, dim], NaN or zero rows missing; or a folder.
        folders: per modality the feature folder below ``source`` (``<clip>.npy``, (D,) or (T, D)), searched with its
            sub-folders: ``s1/y.npy`` is the clip ``s1/y``, but a frame of the clip ``s1`` where another folder has
            ``s1.npy`` or the files are named as frames (``frame_det_00_000001.npy``).
        frames: every sub-folder holds the frames of one clip.

    Returns:
        Ids and per modality float32 [n, dim] with NaN rows where missing, None where no clip has it.

    Raises:
        RamerError: one line per fault, naming file, key or row.
    """
    if source.is_dir():
        return _read_folders(source, folders, frames)
    if source.is_file():
        if source.suffix.lower() not in (".npz", ".npy", ""):
            raise RamerError(f"{source}: unknown kind of file, expected a clip ({MEDIA_KINDS}) or an npz of features")
        return _read_packed(source)
    raise RamerError(f"{source}: no such file or folder, expected an npz or a folder of features")


def holds_clips(folder: Path) -> bool:
    """Whether media files lie below a folder, and no features, which would be those of such clips."""
    kinds = {Path(name).suffix.lower() for name in FolderWalk(folder)} if folder.is_dir() else set()
    return ".npy" not in kinds and not kinds.isdisjoint(MEDIA_SUFFIXES)


def drop_modalities(features: Features, letters: str) -> Features:
    """Set the modalities that ``letters`` names to missing.

    Example:
        >>> kept = drop_modalities({"audio": np.ones((1, 2)), "text": np.ones((1, 3))}, "t")
        >>> kept["audio"].tolist(), kept["text"].tolist()
        ([[1.0, 1.0]], [[nan, nan, nan]])
    """
    check_letters(letters, "--drop")
    kept: Features = {}
    for m in MODALITIES:
        vectors = features.get(m)
        dropped = vectors is not None and LETTERS[m] in letters
        kept[m] = np.full_like(vectors, np.nan) if dropped else vectors
    return kept


def check_letters(letters: str, option: str) -> None:
    """Refuse letters that name no modality."""
    unknown = sorted(set(letters) - set(LETTERS.values()))
    if unknown:
        raise RamerError(f"{option}: {''.join(unknown)!r} names no modality, expected letters of a, v, t")


def mark_missing(vectors: np.ndarray) -> np.ndarray:
    """Zero vectors become NaN: nothing was extracted (protocol rule 11)."""
    single = in_single(vectors)
    vectors = single.copy() if single is vectors else single
    with np.errstate(invalid="ignore"):  # of a NaN that signals
        vectors[~vectors.any(axis=1)] = np.nan
    return vectors


def _read_packed(source: Path) -> tuple[list[str], Features]:
    where = ""
    try:
        with open_archive(source) as archive:
            held = [key for key in MATRICES if key in archive.keys]
            matrices: dict[str, np.ndarray] = {}
            for key in held:
                where = f"{key}: "
                matrices[key] = archive.array(key, _MOST_MATRIX_BYTES)
            if "ids" not in archive.keys or not held:
                found = sorted(archive.keys)
                raise RamerError(f"{source}: expected the key ids and at least one of A, V, L, got {found}")
            where = "ids: "
            if len(shape := archive.header("ids").shape) != 1:
                raise RamerError(f"{source}: ids: expected a vector of names, got shape {shape}")
            names = strings(read_column(archive, "ids"))
            ids = [str(name) for name in names]
            notes = meant_notes(archive.keys, (*COLUMNS, *held), beside=True)
    except UNREADABLE as error:
        raise RamerError(f"{source}: not a readable npz: {where}{damage(error)}") from None
    faults = [
        f"{source}: {key}: expected a numeric matrix of {len(ids)} rows, got {matrix.dtype} {matrix.shape}"
        for key, matrix in matrices.items()
        if matrix.ndim != 2 or len(matrix) != len(ids) or matrix.dtype.kind not in "fiu"
    ]
    faults += [f"{source}: ids: row {row}: empty, expected a name" for row, name in enumerate(names) if name is None]
    faults += [
        f"{source}: row {row}: ids: not valid text: {ascii(name)[:60]}"
        for row, name in enumerate(ids)
        if not is_text(name)
    ]
    if faults:
        raise RamerError(faults[:MOST_NAMED])
    for note in notes:
        log.warning("%s: %s", source, note)
    # What becomes infinite is refused by the model.
    return ids, {m: mark_missing(matrices[key]) if key in matrices else None for m, key in PACKED_KEYS.items()}


def _read_folders(source: Path, folders: Mapping[str, str | None], frames: bool) -> tuple[list[str], Features]:
    named = {m: source / name for m, name in folders.items() if name}
    if not named:
        raise RamerError(f"{source}: name at least one feature folder below it with --audio, --video or --text")
    faults = [f"{f}: no such folder, expected one .npy file per clip" for f in named.values() if not f.is_dir()]
    leaves = frame_folders(named.values(), frames)
    files = {m: _clip_files(f, leaves) for m, f in named.items()}
    if not faults and not any(files.values()):
        faults = [f"{folder}: no .npy files there, expected one per clip" for folder in named.values()]
    if faults:
        raise RamerError(faults)
    ids = sorted(set().union(*files.values()))
    faults = [
        f"{str(path)!a}: not valid text, expected a name in UTF-8"
        for found in files.values()
        for clip, path in found.items()
        if not is_text(clip)
    ]
    if faults:
        raise RamerError(faults[:MOST_NAMED])
    features: Features = dict.fromkeys(MODALITIES)
    features |= {m: _stack(ids, found, faults) for m, found in files.items()}
    if faults:
        raise RamerError(faults[:MOST_NAMED])
    return ids, features


def _clip_files(folder: Path, leaves: Collection[str]) -> dict[str, Path]:
    """Clip to file or folder of frames, in the order of the names; what is passed over is told."""
    walk = FolderWalk(folder, leaves)
    clips = clip_paths(walk)
    for line in (*walk.faults, *walk.told):
        log.warning("%s: %s", folder, line)
    return dict(sorted(clips.items()))


def _stack(ids: list[str], files: Mapping[str, Path], faults: list[str]) -> np.ndarray | None:
    """float32 [clips, dim], NaN rows where a clip has no file or an empty one; None if no clip has anything."""
    vectors: dict[str, np.ndarray] = {}
    for clip, path in files.items():
        try:
            vector = load_vector(path)
        except ValueError as error:
            faults.append(f"{path}: {error}")
            continue
        if vector is not None:
            vectors[clip] = vector
    if not vectors:
        return None
    dim = Counter(map(len, vectors.values())).most_common(1)[0][0]
    out = np.full((len(ids), dim), np.nan, dtype=np.float32)
    for row, clip in enumerate(ids):
        vector = vectors.get(clip)
        if vector is not None and len(vector) != dim:
            faults.append(f"{files[clip]}: expected {dim} numbers as most files, got {len(vector)}")
        elif vector is not None:
            out[row] = vector
    return mark_missing(out)
