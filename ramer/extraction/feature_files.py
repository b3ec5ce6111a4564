"""Single feature files: each one whole or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ramer.data.npy import read_array
from ramer.errors import CorpusError, in_one_line
from ramer.extraction.manifest import Manifest
from ramer.extraction.outcomes import Missing, one_line


def save_features(arrays: Mapping[Path, np.ndarray | None], partial: Path) -> Missing | None:
    """Write each array as float32, and remove the files of those that are None; why not, where a name is taken.

    Args:
        partial: what a file is called while it is written, on the same disk.

    Raises:
        CorpusError: the system refuses, as a full disk does.
    """
    try:
        for target, array in arrays.items():
            if array is None:
                target.unlink(missing_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.save(file, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
            os.replace(partial, target)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        return Missing(f"its feature file cannot be written: {one_line(error)}", failed=True)
    except OSError as error:
        error.filename = str(target)  # not the name that it has while it is written
        raise CorpusError(in_one_line(error)) from None
    return None


def lost_files(features: Path, manifest: Manifest) -> list[str]:
    """Names of the feature files that a manifest speaks of and that are gone, below the folder of features.

    Args:
        features: the folder; sequences are looked for where one of an extractor's is kept.
    """
    suffixes = ("UTT", "FRA") if manifest.settings.per_frame else ("UTT",)
    wanted = (
        f"{manifest.settings.of(modality).name}-{suffix}/{clip}.npy"
        for modality in manifest.settings.modalities
        for suffix in suffixes
        if suffix == "UTT" or (features / f"{manifest.settings.of(modality).name}-{suffix}").is_dir()
        for clip, entry in manifest.entries(modality)
        if entry["status"] == "extracted"
    )
    return [name for name in wanted if not (features / name).is_file()]


def read_features(path: Path) -> np.ndarray:
    """What a feature file holds.

    Raises:
        CorpusError: it is gone or damaged.
    """
    try:
        return read_array(path)
    except ValueError as error:
        raise CorpusError(f"{path}: {error}") from None


def remove_features(path: Path) -> None:
    """Remove a feature file, if it is there.

    Raises:
        CorpusError: the system refuses.
    """
    try:
        if path.is_file():
            path.unlink()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be removed: {error.strerror or error}") from None
