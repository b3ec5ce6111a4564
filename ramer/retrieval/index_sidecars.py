"""What stands beside an index: how it is searched, over what, and in older ones its rows."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ramer.config import Section
from ramer.records import Record


class IndexKind(Section):
    """How an index is searched.

    Attributes:
        kind: flat, ivf_flat, ivf_pq or hnsw.
        dimension: length of a key.
        settings: sizes that were chosen for the kind.
    """

    kind: str
    dimension: int
    settings: dict[str, int] = Field(default_factory=dict)


class Sidecar(IndexKind, Record):
    """The description beside an index.

    Attributes:
        modality: whose states the keys are.
        count: how many keys there are.
        metric: always inner_product.
        recall_at_5: of an approximate index, measured on a sample: of rows that ``retrieval.exclude`` lets a query
            find, or of all but itself once ``ramer database add`` has made it grow. None for an exact one, and where
            nothing may be found.
        scope: the splits that the rows are of.
        encoder_digest: of the encoder that made the keys.
        ids_digest: of the corpus' ids in row order.
        crossfit_digest: of the encoders that made training rows' states, empty where there are none.
        bytes: of the index' file, and of that of its lists where those are on disk.
        rows_digest: of the table of its rows, which lies beside it.
    """

    later: ClassVar[frozenset[str]] = frozenset({"format", "crossfit_digest"})

    modality: str
    count: int
    metric: str = "inner_product"
    recall_at_5: float | None
    scope: str
    encoder_digest: str
    ids_digest: str
    crossfit_digest: str = ""
    bytes: int = 0
    rows_digest: str = ""


class WholeSidecar(Sidecar):
    """A sidecar of an older version, which names the rows itself.

    Attributes:
        ids, rows: of the keys, in order.
    """

    ids: tuple[str, ...]
    rows: tuple[int, ...]

    later: ClassVar[frozenset[str]] = Sidecar.later | {"rows_digest"}
