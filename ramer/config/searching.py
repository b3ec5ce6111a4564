"""How neighbours are found: ``index`` and ``retrieval``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ramer.config.section import Section

# What FAISS takes, or what it still has the memory for: beyond that it ends the process or raises from its depths.
Sized = Annotated[int, Field(ge=1, le=2**31 - 1)]
Held = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
LINKS = range(2, 1025)  # of an hnsw graph


class Index(Section):
    """The FAISS index of a modality.

    Attributes:
        kind: flat is exact; auto decides by size. null sizes are chosen from the number of keys.
        lists: where inverted lists are, in a file that is read as it is searched (disk) or in memory.
        nlist, nprobe: inverted lists made and visited (null: as many as recall on a sample asks for).
        m: bytes per compressed key (ivf_pq) or links per key (hnsw, 2 to 1024).
        ef_construction, ef: candidates held while an hnsw graph is built and searched, at most a million.
    """

    kind: Literal["flat", "ivf_flat", "ivf_pq", "hnsw", "auto"] = "flat"
    lists: Literal["memory", "disk"] = "memory"
    nlist: Sized | None = None
    nprobe: Sized | None = None
    m: Sized | None = None
    ef_construction: Held | None = None
    ef: Held | None = None
    rerank: bool = True
    seed: Seed = 0

    @model_validator(mode="after")
    def _check(self) -> Index:
        if self.lists == "disk" and self.kind in ("flat", "hnsw"):
            raise ValueError(f"lists: disk: expected kind ivf_flat, ivf_pq or auto, as {self.kind} has no lists")
        if self.kind == "hnsw" and self.m is not None and self.m not in LINKS:
            raise ValueError(f"m: expected {LINKS[0]} to {LINKS[-1]} links per key for hnsw (m: {self.m})")
        return self


class Retrieval(Section):
    """What a query may find, and how much of it is kept.

    Attributes:
        scope: which rows may be returned.
        width: candidates kept per query.
        exclude: which rows a query never gets.
    """

    scope: Literal["train", "pool", "all"] = "train"
    width: Held = 50
    exclude: Literal["speaker", "self"] = "speaker"
    queries: Literal["labelled", "all"] = "labelled"
