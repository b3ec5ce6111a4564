"""Keys in one space for whatever a row holds, of a method that searches its database by keys of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import faiss
import numpy as np
import torch
from jaxtyping import Bool, Int

from ramer.modalities import MODALITIES
from ramer.nn.key_networks import SIZE, KeyEncoders
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import NEW_CLIP, search
from ramer.retrieval.states import l2_normalise
from ramer.retrieval.structures import Candidates, Database

BLOCK = 4096  # rows embedded at a time


@runtime_checkable
class KeySpace(Protocol):
    """Where rows are compared by what they hold."""

    def embed(self, features: Mapping[str, np.ndarray], available: np.ndarray) -> np.ndarray:
        """One key per row, float32 [n, size], of unit length; zeros for a row that holds nothing.

        Args:
            features: standardised, [n, dim] per modality; what is not available is not read.
            available: bool [n, 3].
        """
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """What was learnt, as arrays."""
        ...


@dataclass(frozen=True)
class LearnedKeys:
    """The sum of what each modality's network says, brought to unit length.

    Attributes:
        encoders: in eval mode.
    """

    encoders: KeyEncoders
    device: str = "cpu"

    @torch.inference_mode()
    def embed(self, features: Mapping[str, np.ndarray], available: np.ndarray) -> np.ndarray:
        total = np.zeros((len(available), SIZE), dtype=np.float32)
        for i, m in enumerate(MODALITIES):
            held = np.flatnonzero(available[:, i])
            if m in self.encoders and len(held):
                total[held] += self.encoders.of(m, torch.from_numpy(features[m][held]).to(self.device)).cpu().numpy()
        return l2_normalise(total)

    def tensors(self) -> dict[str, np.ndarray]:
        return {f"keys_.{name}": value.detach().cpu().numpy() for name, value in self.encoders.state_dict().items()}


@dataclass(frozen=True)
class FeatureKeys:
    """The standardised features themselves, each modality of unit length in columns of its own.

    Attributes:
        dims: length of the features per modality.
    """

    dims: Mapping[str, int]

    def embed(self, features: Mapping[str, np.ndarray], available: np.ndarray) -> np.ndarray:
        blocks = [
            l2_normalise(np.where(available[:, i, None], features[m], np.float32(0)))
            if self.dims[m]
            else np.zeros((len(available), 0), dtype=np.float32)
            for i, m in enumerate(MODALITIES)
        ]
        return l2_normalise(np.concatenate(blocks, axis=1))

    def tensors(self) -> dict[str, np.ndarray]:
        return {}


@dataclass(frozen=True)
class KeyIndex:
    """The keys of a database, searched exactly.

    Attributes:
        space: that embeds rows and queries.
        database: whose rows are found.
        keys: float32 [rows, size], zeros for a row that the database does not hold.
        index: of the rows that it holds.
    """

    space: KeySpace
    database: Database
    keys: np.ndarray
    index: DatabaseIndex

    @classmethod
    def build(cls, space: KeySpace, database: Database) -> KeyIndex:
        """Embed every row that the database holds, by all that it holds."""
        held = np.flatnonzero(database.available.any(axis=1))
        features = database.live_search.features
        parts = []
        for start in range(0, len(held), BLOCK):
            rows = held[start : start + BLOCK]
            parts.append(space.embed({m: v[rows] for m, v in features.items()}, database.available[rows]))
        size = parts[0].shape[1] if parts else 1
        keys = np.zeros((len(database.available), size), dtype=np.float32)
        if parts:
            keys[held] = np.concatenate(parts)
        kept = held[keys[held].any(axis=1)]
        flat = faiss.IndexFlatIP(size)
        flat.add(keys[kept])
        return cls(space, database, keys, DatabaseIndex(flat, kept, IndexKind(kind="flat", dimension=size)))

    def candidates(
        self,
        features: Mapping[str, np.ndarray],
        available: Bool[np.ndarray, "n 3"],
        rows: Int[np.ndarray, " n"],
        width: int,
    ) -> Candidates:
        """The nearest database rows of every query, best first; none for a query that holds nothing.

        Args:
            features: standardised, of the queries.
            available: what they hold.
            rows: their corpus rows, -1 for a clip that is not in the corpus: it excludes nothing.
        """
        queries = self.space.embed(features, available)
        found = np.full((len(queries), width), -1, dtype=np.int64)
        scores = np.full((len(queries), width), np.nan)
        asked = np.flatnonzero(queries.any(axis=1))
        codes = self.database.live_search.codes if (rows >= 0).any() else None
        own = None if codes is None else np.where(rows >= 0, codes[np.maximum(rows, 0)], NEW_CLIP)[asked]
        found[asked], scores[asked] = search(self.index, self.keys, queries[asked], width, codes=codes, query_codes=own)
        return Candidates(found, scores)
