"""One replicate of a trained model: its encoders, its database with indexes, and its method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ramer.data.prepared import Scaler
from ramer.methods import Method
from ramer.modalities import MODALITIES
from ramer.nn.encoder import UnimodalEncoder
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.listing import search_lists
from ramer.retrieval.structures import Database, Neighbours, Queries
from ramer.serving.torn import check_finite
from ramer.training.batches import Arrays, Batch

BLOCK = 1024  # rows encoded at a time


class SearchSettings(NamedTuple):
    """How a model's stage ``retrieve`` searched.

    Attributes:
        width: neighbours per list.
        rerank: whether an approximate index' candidates are scored by their exact keys.
    """

    width: int
    rerank: bool


@dataclass(frozen=True)
class ReplicateModel:
    """What predicts; it changes nothing when it does.

    Attributes:
        encoders: per modality that the corpus has, with the scaler of their inputs.
        indexes: per modality; empty for a method that retrieves nothing.
        database: what the indexes point into, None for a method that retrieves nothing.
        method: of the replicate.
        search: how lists are made.
    """

    encoders: Mapping[str, tuple[UnimodalEncoder, Scaler]]
    indexes: Mapping[str, DatabaseIndex]
    database: Database | None
    method: Method
    search: SearchSettings

    def batch(self, raw: Mapping[str, np.ndarray], available: np.ndarray) -> Batch:
        """Clips as the replicate's method sees them.

        Args:
            raw: float32 [n, dim] per modality, finite where available.
            available: bool [n, 3].

        Raises:
            RetrievalError: a state that is searched with is zero or not finite.
        """
        nowhere = np.full(len(available), -1, dtype=np.int64)  # in the corpus
        features, states, posteriors = self.encode(raw, available)
        near = None
        if self.database is not None:
            asked = self.method.reads_lists(available)
            queries, settings = Queries(states, available), self.search
            lists = search_lists(
                self.indexes, self.database, queries, settings.width, asked=asked, rerank=settings.rerank
            )
            near = Neighbours(lists, self.database)
        return Batch(nowhere, available, features, states, posteriors, near)

    def encode(self, raw: Mapping[str, np.ndarray], available: np.ndarray) -> tuple[Arrays, Arrays, Arrays]:
        """Standardised features, hidden states and posteriors per modality [n, width], NaN where missing."""
        shape, n = self.method.shape, len(available)
        widths = shape.feature_dims, shape.state_dims, dict.fromkeys(MODALITIES, shape.classes)
        features, states, posteriors = (
            {m: np.full((n, sizes[m]), np.nan, dtype=np.float32) for m in MODALITIES} for sizes in widths
        )
        for m, (encoder, scaler) in self.encoders.items():
            held = np.flatnonzero(available[:, MODALITIES.index(m)])
            for start in range(0, len(held), BLOCK):
                part = held[start : start + BLOCK]
                features[m][part] = scaler.apply(raw[m][part])
                with torch.inference_mode():
                    encoded = encoder(torch.from_numpy(features[m][part]))
                    states[m][part] = encoded.hidden.numpy()
                    check_finite(states[m][part], f"{m}: hidden states")  # some methods would take them for missing
                    posteriors[m][part] = encoded.logits.softmax(dim=1).numpy()
        return features, states, posteriors
