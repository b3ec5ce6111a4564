"""The table of a retrieval database: read, written and appended to here alone.

``rows.parquet`` names the rows, ``<modality>.npy`` holds their states and ``<modality>.features.npy``, for a method
that encodes for itself, their raw vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramer.array_files import write_array
from ramer.errors import ModelError
from ramer.files import read_table, write_table
from ramer.modalities import MODALITIES
from ramer.serving.torn import refuse_torn

BLOCK = 16384  # rows copied at a time
_ROWS = "rows.parquet"


@dataclass(frozen=True)
class DatabaseTable:
    """The rows that retrieval may return.

    Attributes:
        replicates: their names.
        rows: int64 [n], corpus row numbers, ascending; indexes name rows by these.
        ids: [n].
        labels: class names or None, [replicates, n]: a label that one replicate's budget hides is not that replicate's.
        members: which rows a replicate's database holds, bool [replicates, n].
        available: bool [n, 3].
        states: per modality float32 [replicates, n, hidden], may be memory-mapped; empty for a method that searches by
            keys of its own.
        features: raw vectors of the modalities that the corpus has, float32 [1, n, dim], may be memory-mapped; empty
            for a method that encodes nothing itself.
    """

    replicates: tuple[str, ...]
    rows: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    members: np.ndarray
    available: np.ndarray
    states: dict[str, np.ndarray]
    features: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def described(self, kept: np.ndarray) -> pd.DataFrame:
        """What ``rows.parquet`` says of the rows at these positions."""
        columns: dict[str, Any] = {"row": self.rows[kept], "id": self.ids[kept]}
        columns |= {f"label_{r}": pd.array(self.labels[i, kept], dtype="str") for i, r in enumerate(self.replicates)}
        columns |= {f"member_{r}": self.members[i, kept] for i, r in enumerate(self.replicates)}
        columns |= {f"available_{m}": self.available[kept, i] for i, m in enumerate(MODALITIES)}
        return pd.DataFrame(columns)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """States and features by the names of their files."""
        return {_states_file(m): a for m, a in self.states.items()} | {
            _features_file(m): a for m, a in self.features.items()
        }


def read_database(
    folder: Path, replicates: Sequence[str], features: Mapping[str, int], with_states: bool = True
) -> DatabaseTable:
    """Read a database; its arrays stay on disk.

    Args:
        features: lengths of the raw vectors that are wanted, per modality.
        with_states: whether hidden states are in it.

    Raises:
        ModelError: a file is not there, torn, or of other rows than the table names.
    """
    with refuse_torn(folder / _ROWS):
        table = read_table(folder / _ROWS)
        rows = table["row"].to_numpy(dtype=np.int64)
        ids = table["id"].to_numpy(dtype=object)
        labels = np.stack([_texts(table[f"label_{r}"]) for r in replicates])
        # Databases of earlier versions do not say who is in them: their indexes do.
        members = np.stack([table.get(f"member_{r}", pd.Series(True, table.index)).to_numpy(bool) for r in replicates])
        available = table[[f"available_{m}" for m in MODALITIES]].to_numpy(dtype=bool)
    searched = MODALITIES if with_states else ()
    states = {m: read_array(folder / _states_file(m), "states", len(replicates), len(rows)) for m in searched}
    vectors = {m: read_array(folder / _features_file(m), "numbers", 1, len(rows), dim) for m, dim in features.items()}
    return DatabaseTable(tuple(replicates), rows, ids, labels, members, available, states, vectors)


def write_database(out: Path, table: DatabaseTable, kept: np.ndarray) -> None:
    """Write the rows at these positions into a new folder."""
    _write(out, [(table, kept)])


def append_database(out: Path, table: DatabaseTable, new: DatabaseTable) -> None:
    """Write a database with the rows of another after its own into a new folder.

    Raises:
        ModelError: states or features of the two are not of one width.
    """
    _write(out, [(table, np.arange(len(table))), (new, np.arange(len(new)))])


def _write(out: Path, parts: Sequence[tuple[DatabaseTable, np.ndarray]]) -> None:
    out.mkdir()
    write_table(out / _ROWS, pd.concat([table.described(kept) for table, kept in parts], ignore_index=True))
    for name in parts[0][0].arrays:
        _write_rows(out / name, [(table.arrays[name], kept) for table, kept in parts])


def _write_rows(path: Path, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Arrays [replicates, rows, width], of which some rows are kept, as one, block by block."""
    replicates, _, width = parts[0][0].shape
    for array, _ in parts:
        if array.shape[::2] != (replicates, width):
            raise ModelError(
                f"{path}: expected {replicates} replicates of {width} numbers a row, "
                f"got {array.shape[0]} of {array.shape[2]}"
            )

    def blocks() -> Iterator[np.ndarray]:
        for replicate in range(replicates):
            for array, kept in parts:
                for start in range(0, len(kept), BLOCK):  # never a whole table in memory
                    yield array[replicate, kept[start : start + BLOCK]]

    write_array(path, (replicates, sum(len(kept) for _, kept in parts), width), blocks())


def read_array(path: Path, what: str, *shape: int) -> np.ndarray:
    """A memory-mapped array, the first sizes of which are known.

    Raises:
        ModelError: not there, torn, or of other sizes.
    """
    with refuse_torn(path):
        array: np.ndarray = np.load(path, mmap_mode="r")
    if array.shape[: len(shape)] != shape:
        expected, got = (" x ".join(map(str, size)) for size in (shape, array.shape[: len(shape)]))
        raise ModelError(f"{path}: expected {expected} {what}, got {got}")
    return array


def _states_file(modality: str) -> str:
    return f"{modality}.npy"


def _features_file(modality: str) -> str:
    return f"{modality}.features.npy"


def _texts(column: pd.Series) -> np.ndarray:
    """Strings, None where there is none."""
    return column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
