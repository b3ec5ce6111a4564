"""A clip's vector from its file, or from a folder with a file for each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ramer.array_files import in_single
from ramer.data.names import is_of_the_system
from ramer.data.npy import MOST_BYTES, read_array


def frame_files(folder: Path) -> list[Path]:
    """Files of a folder in the order of their names, without those that are a system's own."""
    return sorted(path for path in folder.iterdir() if not is_of_the_system(path.name))


def load_vector(path: Path) -> np.ndarray | None:
    """A clip's float32 vector [dim], the mean of its frames where it has frames; None where it holds nothing.

    Args:
        path: an ``.npy`` file, or a folder with one for each frame.

    Raises:
        ValueError: damaged, not numbers, of another rank, or not finite.
    """
    array = _stacked(path) if path.is_dir() else _numbers(path)
    if array.size == 0 or np.isnan(array).all():
        return None
    if array.ndim > 2:
        raise ValueError(f"expected shape [dim] or [frames, dim], got {list(array.shape)}")
    with np.errstate(over="ignore", invalid="ignore"):
        vector = in_single(array if array.ndim == 1 else _mean(array))
    if not np.isfinite(vector).all():
        raise ValueError("infinite or partly NaN, expected finite numbers")
    return vector


def _numbers(path: Path) -> np.ndarray:
    """An array of numbers without its axes of length 1, but with one axis at least."""
    array = read_array(path)
    if array.dtype.kind not in "fiu":
        raise ValueError("expected an array of numbers")
    return np.atleast_1d(array.squeeze()) if array.size else array


def _stacked(folder: Path) -> np.ndarray:
    frames: list[np.ndarray] = []
    for file in frame_files(folder):
        if file.suffix != ".npy":
            raise ValueError(f"holds {file.name!r}, expected one .npy file per frame")
        try:
            frame = _numbers(file)
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from None
        if frame.ndim != 1 or (frames and len(frame) != len(frames[0])):
            raise ValueError(f"{file.name}: expected one frame like those before it, got shape {list(frame.shape)}")
        frames.append(frame)
        if len(frames) * frame.nbytes > MOST_BYTES:
            raise ValueError(f"frames of more than {MOST_BYTES:,} bytes")
    return np.stack(frames) if frames else np.zeros(0)


def _mean(frames: np.ndarray) -> np.ndarray:
    """Mean over frames in float64; those of zeros at either end pad the sequence and are left out."""
    held = np.flatnonzero(frames.any(axis=1))
    if len(held):
        frames = frames[held[0] : held[-1] + 1]
    return np.asarray(frames.mean(axis=0, dtype=np.float64))
