"""How neighbours are found: ``index`` and ``retrieval``."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from ramer.config.section import Count, Section, Whole


class Index(Section):
    """The FAISS index of a modality.

    Attributes:
        kind: flat is exact; auto decides by size. null sizes are chosen from the number of keys.
        lists: where inverted lists are, in a file that is read as it is searched (disk) or in memory.
        nlist, nprobe: inverted lists made and visited (null: as many as recall on a sample asks for).
        m: bytes per compressed key (ivf_pq) or links per key (hnsw).
        ef_construction, ef: candidates held while an hnsw graph is built and searched.
    """

    kind: Literal["flat", "ivf_flat", "ivf_pq", "hnsw", "auto"] = "flat"
    lists: Literal["memory", "disk"] = "memory"
    nlist: Count | None = None
    nprobe: Count | None = None
    m: Count | None = None
    ef_construction: Count | None = None
    ef: Count | None = None
    rerank: bool = True
    seed: Whole = 0

    @model_validator(mode="after")
    def _check(self) -> Index:
        if self.lists == "disk" and self.kind in ("flat", "hnsw"):
            raise ValueError(f"lists: disk: expected kind ivf_flat, ivf_pq or auto, as {self.kind} has no lists")
        return self


class Retrieval(Section):
    """What a query may find, and how much of it is kept.

    Attributes:
        scope: which rows may be returned.
        width: candidates kept per query.
        exclude: which rows a query never gets.
    """

    scope: Literal["train", "pool", "all"] = "train"
    width: Count = 50
    exclude: Literal["speaker", "self"] = "speaker"
    queries: Literal["labelled", "all"] = "labelled"
