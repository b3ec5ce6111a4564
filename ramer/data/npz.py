"""A packed corpus: one ``.npz`` with ids, split, speaker, label, label_names and the matrices A, V and L."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ramer.data.corpus import BLOCK_ROWS, UNLABELLED, RawCorpus, strings
from ramer.data.npy import UNREADABLE, damage, read_arrays
from ramer.errors import CorpusError
from ramer.files import digest_file
from ramer.modalities import PACKED_KEYS


class NpzSource:
    """One matrix of an ``.npz``, decompressed block by block."""

    def __init__(self, path: Path, key: str, rows: int, dim: int) -> None:
        self.origin = f"{path}: {key}"
        self.dim = dim
        self._path, self._key, self._rows = path, key, rows

    def blocks(self) -> Iterator[np.ndarray]:
        """Float32 blocks of the matrix; a value too large for float32 becomes infinite and is refused by the writer."""
        try:
            with zipfile.ZipFile(self._path) as file, file.open(f"{self._key}.npy") as stream:
                yield from self._read(stream)
        except UNREADABLE as error:
            raise CorpusError(
                f"{self.origin}: cannot be read to its end, the file is damaged: {damage(error)}"
            ) from None

    def _read(self, stream: Any) -> Iterator[np.ndarray]:
        shape, fortran, dtype = _header(stream)
        if fortran:  # columns first: no row is whole before the last column has been read
            whole = np.frombuffer(stream.read(), dtype=dtype).reshape(shape, order="F")
        for start in range(0, self._rows, BLOCK_ROWS):
            rows = min(BLOCK_ROWS, self._rows - start)
            if fortran:
                block = whole[start : start + rows]
            else:
                block = np.frombuffer(stream.read(rows * self.dim * dtype.itemsize), dtype=dtype).reshape(
                    rows, self.dim
                )
            with np.errstate(over="ignore"):
                yield np.ascontiguousarray(block, dtype=np.float32)
        stream.read()  # to the end, where the checksum is compared


def read_npz(path: Path) -> RawCorpus:
    """Open a packed corpus; other keys than the eight of the format are never read.

    Raises:
        CorpusError: not an ``.npz``, a key is missing, holds objects or has another shape; one line per fault.
    """
    headers = _headers(path)
    faults = [
        f"{path}: {key}: missing key, expected it" for key in ("ids", "label", "label_names") if key not in headers
    ]
    if faults:
        raise CorpusError(faults)
    rows = headers["ids"][0][0] if headers["ids"][0] else 0
    faults = [fault for key, header in headers.items() for fault in _shape_faults(path, key, *header, rows=rows)]
    if faults:
        raise CorpusError(faults)
    table = _columns(path, [k for k in ("ids", "label", "label_names", "split", "speaker") if k in headers])
    labels, splits = table["label"].astype(np.int64), None
    if "split" in table:
        splits = np.array([str(s) for s in table["split"]], dtype=object)
        labels = np.where(splits == "pool", UNLABELLED, labels)
    speakers = strings(table["speaker"].tolist() if "speaker" in table else [None] * rows)
    return RawCorpus(
        name=path.stem,
        source=str(path),
        ids=strings(table["ids"].tolist()),
        speakers=speakers,
        labels=labels,
        label_names=tuple(str(name) for name in table["label_names"]),
        splits=splits,
        sources={
            m: NpzSource(path, k, rows, headers[k][0][1]) if k in headers else None for m, k in PACKED_KEYS.items()
        },
        group_name="speaker" if any(s is not None for s in speakers) else None,
        provenance={"kind": "npz", "file": path.name, "sha256": digest_file(path)},
    )


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of every key of the format that the file holds, without its data."""
    known = ("ids", "label", "label_names", "split", "speaker", *PACKED_KEYS.values())
    headers = {}
    try:
        with zipfile.ZipFile(path) as file:
            held = set(file.namelist())
            for key in known:
                if f"{key}.npy" in held:
                    with file.open(f"{key}.npy") as stream:
                        shape, _, dtype = _header(stream)
                    headers[key] = (shape, dtype)
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file, expected a packed corpus") from None
    except UNREADABLE as error:
        raise CorpusError(f"{path}: not a whole .npz file: {damage(error)}") from None
    return headers


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)


def _shape_faults(path: Path, key: str, shape: tuple[int, ...], dtype: np.dtype, *, rows: int) -> list[str]:
    where = f"{path}: {key}"
    if dtype.hasobject:
        return [f"{where}: holds pickled objects, expected plain numbers or strings"]
    kinds = {"label": ("iu", "integers"), "label_names": ("U", "strings"), "split": ("U", "strings")}
    kind, noun = kinds.get(key, ("fiu", "numbers") if key in PACKED_KEYS.values() else ("Uiu", "strings or integers"))
    if dtype.kind not in kind:
        return [f"{where}: expected {noun}, got {dtype}"]
    if key in PACKED_KEYS.values():
        good, expected = len(shape) == 2 and shape[0] == rows and shape[1] > 0, f"[{rows}, dim]"
    elif key == "label_names":
        good, expected = len(shape) == 1, "[classes]"
    else:
        good, expected = shape == (rows,) and rows > 0, f"[{rows}], one entry per row" if rows else "[rows]"
    return [] if good else [f"{where}: expected shape {expected}, got {list(shape)}"]


def _columns(path: Path, keys: list[str]) -> dict[str, np.ndarray]:
    try:
        return read_arrays(path, keys)
    except ValueError as error:
        raise CorpusError(f"{path}: cannot be read to its end, the file is damaged: {error}") from None
