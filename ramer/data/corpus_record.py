"""``corpus.json``: what a prepared corpus is, without its rows."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from ramer.config import Section
from ramer.records import Record

CORPUS_FILE = "corpus.json"


class FoldAndSeed(Section):
    """What a replicate is drawn from."""

    fold: int
    seed: int


class CorpusRecord(Record):
    """``corpus.json``.

    Attributes:
        name: of the corpus.
        dims: length of a vector per modality, 0 where the corpus has none.
        label_names: the classes in order.
        replicates: in the order of every array with a replicate axis.
        group_name: what rows of one speaker are called, None where nobody is named.
        rows: how many there are, the pool included.
        counts: per replicate and split the rows, and those of each class as ``label/<name>``.
        naturally_missing: per replicate and split the rows without each modality, and without all.
        split_overlaps: per fold and pair of splits the groups that they share.
        label_budget: what the label budget left out, None where there is none.
        provenance: where the corpus came from; its keys are those of its kind.
        notes: what a reader should know of it.
        digest: over ids, speakers, labels, splits and features.
    """

    later: ClassVar[frozenset[str]] = frozenset(
        "format group_name rows counts naturally_missing split_overlaps label_budget provenance notes digest".split()
    )

    name: str
    dims: dict[str, int]
    label_names: tuple[str, ...]
    replicates: tuple[FoldAndSeed, ...]
    group_name: str | None = None
    rows: int | None = None
    counts: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
    naturally_missing: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
    split_overlaps: dict[str, dict[str, int]] = Field(default_factory=dict)
    label_budget: dict[str, int] | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    digest: str | None = None
