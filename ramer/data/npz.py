"""A packed corpus: one ``.npz`` with ids, split, speaker, label, label_names and the matrices A, V and L."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ramer.array_files import in_single
from ramer.data.corpus import BLOCK_ROWS, UNLABELLED, RawCorpus, strings
from ramer.data.npy import UNREADABLE, Archive, Header, Stream, damage, open_archive
from ramer.data.packed_keys import (
    COLUMNS,
    MATRICES,
    meant_notes,
    missing_faults,
    modalities_expected,
    read_column,
    shape_faults,
)
from ramer.data.speakers import speaker_notes
from ramer.errors import CorpusError
from ramer.files import digest_file
from ramer.modalities import PACKED_KEYS

_LARGEST = int(np.iinfo(np.int64).max)
_BLOCK_BYTES = 1 << 26  # of a matrix in memory at a time, whatever its width


class NpzSource:
    """One matrix of an ``.npz``, decompressed block by block."""

    def __init__(self, path: Path, key: str, rows: int, dim: int) -> None:
        self.origin = f"{path}: {key}"
        self.dim = dim
        self._path, self._key, self._rows = path, key, rows

    def blocks(self) -> Iterator[np.ndarray]:
        """Float32 blocks of the matrix; a value too large for float32 becomes infinite and is refused by the writer."""
        try:
            with open_archive(self._path) as archive, archive.member(self._key) as (header, stream, held):
                for block in self._read(header, stream, held):
                    yield np.ascontiguousarray(in_single(block))
                stream.read(1)  # at the end the checksum is compared
        except UNREADABLE as error:
            raise CorpusError(
                f"{self.origin}: cannot be read to its end, the file is damaged: {damage(error)}"
            ) from None

    def _read(self, header: Header, stream: Stream, held: int) -> Iterator[np.ndarray]:
        width = self.dim * header.dtype.itemsize
        if header.fortran:  # columns first: no row is whole before the last column has been read
            whole = np.frombuffer(stream.read(held), dtype=header.dtype).reshape(header.shape, order="F")
        at_once = max(1, min(BLOCK_ROWS, _BLOCK_BYTES // width))
        for start in range(0, self._rows, at_once):
            rows = min(at_once, self._rows - start)
            if header.fortran:
                yield whole[start : start + rows]
            else:
                yield np.frombuffer(stream.read(rows * width), dtype=header.dtype).reshape(rows, self.dim)


def read_npz(path: Path) -> RawCorpus:
    """Open a packed corpus; other keys than the eight of the format are never read.

    ``label`` holds class numbers, or the names themselves and then ``label_names`` may be absent. Columns of strings
    may be arrays of objects, as pandas hands them out: strings, numbers and None in them are read, nothing is run.

    Raises:
        CorpusError: not an ``.npz``, a key is missing, holds something else or has another shape; one line per fault.
    """
    try:
        with open_archive(path) as archive:
            headers = _headers(path, archive)
            table = _columns(path, archive, [key for key in COLUMNS if key in headers])
            expected = modalities_expected(archive.keys)
            notes = meant_notes(archive.keys, headers)
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file, expected a packed corpus") from None
    except UNREADABLE as error:
        raise CorpusError(f"{path}: not a whole .npz file: {damage(error)}") from None
    rows = len(table["ids"])
    splits = np.array([str(s) for s in table["split"]], dtype=object) if "split" in table else None
    labels, names = _classes(path, table["label"], table.get("label_names"))
    speakers = strings(table.get("speaker", [None] * rows))
    return RawCorpus(
        name=path.stem,
        source=str(path),
        ids=strings(table["ids"]),
        speakers=speakers,
        labels=labels if splits is None else np.where(splits == "pool", UNLABELLED, labels),
        label_names=names,
        splits=splits,
        sources={
            m: NpzSource(path, k, rows, headers[k].shape[1]) if k in headers else None for m, k in PACKED_KEYS.items()
        },
        group_name="speaker" if any(s is not None for s in speakers) else None,
        provenance={"kind": "npz", "file": path.name, "sha256": digest_file(path)},
        notes=(*notes, *speaker_notes(speakers)),
        expected=expected,
    )


def _headers(path: Path, archive: Archive) -> dict[str, Header]:
    """Header of every key of the format that the file holds, checked; no data are read."""
    headers: dict[str, Header] = {}
    faults: list[str] = []
    for key in (*COLUMNS, *MATRICES):
        if key in archive.keys:
            try:
                headers[key] = archive.header(key)
            except UNREADABLE as error:
                faults.append(f"{path}: {key}: not a whole array: {damage(error)}")
    faults += [f"{path}: {line}" for line in missing_faults(archive.keys)]
    if not faults:
        rows = headers["ids"].shape[0] if headers["ids"].shape else 0
        faults = [f"{path}: {key}: {f}" for key, header in headers.items() for f in shape_faults(key, header, rows)]
    if faults:
        raise CorpusError(faults)
    return headers


def _columns(path: Path, archive: Archive, keys: Sequence[str]) -> dict[str, list[object]]:
    """The lists among the keys; those of rows have one length."""
    table: dict[str, list[object]] = {}
    for key in keys:
        try:
            table[key] = read_column(archive, key)
        except UNREADABLE as error:
            raise CorpusError(f"{path}: {key}: {damage(error)}") from None
    rows = len(table["ids"])
    faults = [
        f"{path}: {key}: expected shape [{rows}], one entry per row, got [{len(table[key])}]"
        for key in ("split", "speaker", "label")
        if key in table and len(table[key]) != rows
    ]
    if faults:
        raise CorpusError(faults)
    return table


def _classes(path: Path, label: list[object], label_names: list[object] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers int64 [rows] and the names of the classes."""
    names = None if label_names is None else [str(name) for name in label_names]
    if all(v is None or v != v or isinstance(v, int) for v in label):  # NaN is how pandas marks an absent number
        if names is None:
            raise CorpusError(
                f"{path}: label_names: missing key, expected the name of each class, or names in label itself"
            )
        numbers = [v if isinstance(v, int) else UNLABELLED for v in label]
        # What no int64 holds is no class either, and is refused with its row.
        return np.array([max(-_LARGEST, min(v, _LARGEST)) for v in numbers], dtype=np.int64), tuple(names)
    written = strings(label)
    if any(isinstance(v, float) and v == v for v in label):
        raise CorpusError(f"{path}: label: expected class numbers or names, got numbers with a fraction")
    if names is None:
        names = sorted({str(name).strip() for name in written if name is not None})
    number: dict[object, int] = {None: UNLABELLED, **{name: i for i, name in enumerate(names)}}
    labels = [None if name is None else str(name).strip() for name in written]
    faults = [
        f"{path}: row {row}: label: {name!r} is not in label_names: {', '.join(names)}"
        for row, name in enumerate(labels)
        if name not in number
    ]
    if faults:
        raise CorpusError(faults)
    return np.array([number[name] for name in labels], dtype=np.int64), tuple(names)
