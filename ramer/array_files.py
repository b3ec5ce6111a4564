"""Arrays in files, whole or not at all: ``.npy`` by blocks or mapped, safetensors with the same bytes each time."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from ramer.files import atomic_file, plain

_METADATA_KEY = "ramer"  # safetensors keeps bytes stable only with a single metadata key


def in_single(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Numbers from outside as float32, without a warning of numpy's.

    What is too large becomes infinite, and a NaN that signals, as a damaged file may hold one, an ordinary NaN: whoever
    reads them says what is wrong with the row.

    Raises:
        ValueError, TypeError: they are no real numbers of one shape.

    Example:
        >>> in_single([0.5, 1e300]).tolist()
        [0.5, inf]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        given = np.asarray(values)
        if given.dtype.kind == "c":
            raise TypeError("complex numbers, expected real ones")
        try:
            return given.astype(np.float32, copy=False)
        except OverflowError as error:  # a whole number that no float holds
            raise ValueError(str(error)) from None


def write_array(path: str | Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> None:
    """Write float32 blocks one after another as one ``.npy`` of a known shape, never all of it in memory.

    Nothing is mapped: a full disk is then an error and not the end of the process.

    Raises:
        ValueError: the blocks hold more or fewer numbers than the shape says.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    written = 0
    with atomic_file(path) as temporary:
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
                written += block.size
        if written != math.prod(shape):
            raise ValueError(f"{path}: expected {math.prod(shape)} numbers, got {written}")


def write_tensors(path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write arrays as safetensors with one metadata key of sorted JSON."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    text = json.dumps(plain(metadata), sort_keys=True)
    with atomic_file(path) as temporary:
        # Not by its own hand: it would hide the file from everybody else, and a full disk in an error of its own.
        temporary.write_bytes(save(arrays, metadata={_METADATA_KEY: text}))


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what ``write_tensors`` wrote: arrays and metadata."""
    from safetensors import safe_open

    with open(path, "rb"):  # whatever it is that keeps a file from being opened, safetensors says that there is none
        pass
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads((file.metadata() or {}).get(_METADATA_KEY, "{}"))
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118


def map_new_array(path: str | Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A new ``.npy`` of zeros, memory-mapped.

    Raises:
        OSError: the disk has no room for all of it; found out later, in the middle of writing, it ends the process.
    """
    array = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):  # this file system cannot tell
                raise OSError(error.errno, error.strerror, str(path)) from None
    return array
