"""Encoders inside a method: live queries, live search, and features that go through the encoder when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import faiss
import numpy as np
import torch
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.encoder import UnimodalEncoder
from ramer.retrieval.aggregation import weigh
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.listing import search_lists
from ramer.retrieval.states import l2_normalise
from ramer.retrieval.structures import Database, Lists, Neighbours, Queries, Rules, Selected
from ramer.training.batches import Batch
from ramer.training.checkpoints import build_encoder, load_described_encoder
from ramer.training.encoder_record import EncoderDescription
from ramer.training.labelled_rows import TrainingBatch

BLOCK = 4096  # rows encoded at a time


class LiveEncoders(nn.ModuleDict):
    """One encoder per modality that the corpus has."""

    @classmethod
    def described(cls, descriptions: Mapping[str, EncoderDescription]) -> LiveEncoders:
        """Untrained encoders from the descriptions of their checkpoints."""
        return cls({m: build_encoder(descriptions[m]) for m in MODALITIES if m in descriptions})

    @classmethod
    def pretrained(cls, train: TrainingBatch) -> tuple[LiveEncoders, dict[str, EncoderDescription]]:
        """The replicate's own encoders, those that its states are stamped with, and their descriptions."""
        present = [m for m in MODALITIES if train.data.corpus.dims[m]]
        loaded = {m: load_described_encoder(train.data.encoder_file(m)) for m in present}
        encoders = cls({m: encoder.requires_grad_(True) for m, (encoder, _, _) in loaded.items()})
        return encoders, {m: description for m, (_, _, description) in loaded.items()}

    def hidden(self, modality: str, features: Tensor) -> Tensor:
        """States [n, hidden], not normalised, of standardised features [n, dim]."""
        encoder = self[modality]
        assert isinstance(encoder, UnimodalEncoder)
        states: Tensor = encoder(features).hidden
        return states

    @torch.inference_mode()
    def states(self, modality: str, features: np.ndarray, device: str) -> np.ndarray:
        """As ``hidden``, of arrays and in eval mode, in blocks."""
        parts = [features[start : start + BLOCK] for start in range(0, len(features), BLOCK)]
        training = self.training
        if training:  # walking all modules costs as much as encoding one clip
            self.eval()
        out = [self.hidden(modality, torch.from_numpy(part).to(device)).cpu().numpy() for part in parts]
        if training:
            self.train()
        return np.concatenate(out) if out else np.empty((0, 0), dtype=np.float32)


def encode_batch(encoders: LiveEncoders, batch: Batch, device: str) -> dict[str, np.ndarray]:
    """States of what the rows have, NaN elsewhere; what is masked is never given to an encoder."""
    states = {}
    for i, m in enumerate(MODALITIES):
        held = batch.available[:, i]
        states[m] = np.full(batch.states[m].shape, np.nan, dtype=np.float32)
        if held.any():
            states[m][held] = encoders.states(m, batch.features[m][held], device)
    return states


def live_lists(
    database: Database, states: Mapping[str, np.ndarray], available: np.ndarray, rows: np.ndarray, width: int
) -> Lists:
    """Neighbours of live states among the database's keys, the row itself and its speaker excluded.

    Args:
        database: with its indexes; its states are those of the encoder that made the keys.
        states: raw [n, hidden] per modality. available: bool [n, 3].
        rows: corpus rows of the queries, -1 for a clip that is not in the corpus, which excludes nothing.
    """
    live = database.live_search
    known = bool((rows >= 0).any())  # else there is nothing to exclude, and nobody to look for
    queries = Queries(dict(states), available, rows if known else None)
    return search_lists(live.indexes, database, queries, width, codes=live.codes if known else None)


def rebuilt(database: Database, encoders: LiveEncoders, device: str) -> Database:
    """The database with states and keys from these encoders, searched exactly."""
    live = database.live_search
    states: dict[str, np.ndarray] = {}
    indexes: dict[str, DatabaseIndex] = {}
    for i, m in enumerate(MODALITIES):
        rows = np.flatnonzero(database.available[:, i])
        states[m] = np.full(database.states[m].shape, np.nan, dtype=np.float32)
        if m not in encoders or not len(rows):
            continue
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            states[m][part] = encoders.states(m, live.features[m][part], device)
        index = faiss.IndexFlatIP(states[m].shape[1])
        index.add(l2_normalise(states[m][rows], refuse="key of row", ids=rows))
        indexes[m] = DatabaseIndex(index, rows, IndexKind(kind="flat", dimension=states[m].shape[1]))
    return replace(database, states=states, live=replace(live, indexes=indexes), known_norms=None)


def encode_mean(
    encoders: LiveEncoders, near: Selected, database: Database, rules: Rules, device: str
) -> dict[str, np.ndarray]:
    """Stand-ins of length 1 from encoded means of the neighbours' features; zeros where nothing was found."""
    live, weights, states = database.live_search, weigh(near.scores, rules), {}
    for i, m in enumerate(MODALITIES):
        found = np.flatnonzero(near.retrieved[:, i])
        states[m] = np.zeros((len(near.rows), database.states[m].shape[1]), dtype=np.float32)
        for start in range(0, len(found), BLOCK):
            part = found[start : start + BLOCK]
            rows = near.rows[part, i]
            features = live.features[m][np.where(rows >= 0, rows, rows[:, :1]).ravel()].reshape(*rows.shape, -1)
            mean = np.matmul(weights[part, i][:, None], features)[:, 0].astype(np.float32)
            states[m][part] = l2_normalise(encoders.states(m, mean, device))
    return states


def masked_again(batch: Batch, mask: np.ndarray) -> Batch:
    """A batch that was seen whole as it is under a mask [3]: states and lists of what is masked are gone."""
    available = batch.available & mask
    states = {m: np.where(available[:, i, None], batch.states[m], np.float32(np.nan)) for i, m in enumerate(MODALITIES)}
    neighbours = Neighbours(batch.lists.masked(available), batch.database)
    return replace(batch, available=available, states=states, neighbours=neighbours, features={})
