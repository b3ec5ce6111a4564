"""Which rows an index holds, in the order of its keys: a table in parquet beside it, ids as strings of Arrow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ramer.errors import StaleError
from ramer.files import atomic_file, digest_file

ENDING = ".parquet"
BLOCK = 1 << 16  # ids compared, or made strings of Python, at a time


@dataclass(frozen=True)
class IndexedRows:
    """The rows of an index.

    Attributes:
        rows: their numbers, int64 [n], ascending.
        ids: their names, an array of Arrow's strings: some 8 bytes more each than the name.
    """

    rows: np.ndarray
    ids: pa.LargeStringArray

    @classmethod
    def of(cls, rows: np.ndarray, ids: Iterable[str]) -> IndexedRows:
        """Of numbers and names."""
        return cls(np.asarray(rows, dtype=np.int64), pa.array(ids, type=pa.large_string()))

    def __len__(self) -> int:
        return len(self.rows)

    def grown(self, rows: np.ndarray, ids: Iterable[str]) -> IndexedRows:
        """With more rows at the end."""
        more = IndexedRows.of(rows, ids)
        return IndexedRows(np.concatenate([self.rows, more.rows]), pa.concat_arrays([self.ids, more.ids]))

    def numbered(self, rows: np.ndarray) -> IndexedRows:
        """The same names with other numbers."""
        return IndexedRows(np.asarray(rows, dtype=np.int64), self.ids)

    def held(self, names: Iterable[str]) -> list[str]:
        """Those of some names that are among its own, in the order given."""
        import pyarrow.compute as pc  # here: with it pandas loads, too

        asked = pa.array(names, type=pa.large_string())
        return asked.filter(pc.is_in(asked, value_set=self.ids)).to_pylist() if len(asked) else []

    def differing(self, names: np.ndarray) -> np.ndarray:
        """Positions at which these names [n] are not its own, compared block by block."""
        found = []
        for start in range(0, len(self), BLOCK):
            own = np.array(self.ids.slice(start, BLOCK).to_pylist(), dtype=object)
            found.append(start + np.flatnonzero(own != names[start : start + BLOCK]))
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def write(self, index: Path) -> str:
        """Write the table beside an index; returns its digest."""
        table = pa.table({"row": pa.array(self.rows), "id": self.ids})
        with atomic_file(index.with_suffix(ENDING)) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return digest_file(index.with_suffix(ENDING))

    @classmethod
    def read(cls, index: Path, digest: str) -> IndexedRows:
        """The table beside an index.

        Raises:
            StaleError: absent, torn, or not the one with this digest.
        """
        path = index.with_suffix(ENDING)
        if not path.exists():
            raise StaleError(f"{path}: no such file", index)
        if digest_file(path) != digest:
            raise StaleError(f"{path}: not the rows that the index was written with", index)
        return cls.read_unchecked(index)

    @classmethod
    def read_unchecked(cls, index: Path) -> IndexedRows:
        """The table beside an index that this very run has written."""
        table = pq.ParquetFile(index.with_suffix(ENDING)).read(columns=["row", "id"])
        rows, ids = (table.column(name).combine_chunks() for name in ("row", "id"))
        # Without pandas, which Arrow loads for its own conversions to NumPy.
        return cls(np.from_dlpack(rows), ids if ids.type == pa.large_string() else ids.cast(pa.large_string()))
