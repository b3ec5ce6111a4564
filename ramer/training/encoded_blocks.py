"""States and posteriors of blocks of rows: an earlier run's, or computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from ramer.data.prepared import Scaler
from ramer.errors import ModelError
from ramer.nn.encoder import UnimodalEncoder
from ramer.training.reuse import KeptStates


@dataclass(frozen=True)
class EncodedBlocks:
    """States and posteriors of a block of rows: an earlier run's where they would be the same, else computed now."""

    encoder: UnimodalEncoder
    scaler: Scaler
    features: np.ndarray
    digest: str
    kept: KeptStates | None

    def __call__(self, rows: slice, computed: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray]:
        raw = self.features[rows]
        known = (self.kept.take(rows, raw, self.digest) if self.kept else None) or computed
        encoded = encode(self.encoder, self.scaler, raw) if known is None else known
        if self.kept:
            self.kept.add(rows, encoded, self.digest)
        return encoded


@torch.inference_mode()
def encode(
    encoder: UnimodalEncoder, scaler: Scaler, raw: Float[np.ndarray, "n dim"]
) -> tuple[Float[np.ndarray, "n hidden"], Float[np.ndarray, "n classes"]]:
    """States and posteriors of raw vectors, at once: the caller chooses the batch.

    Args:
        encoder: in eval mode.
        scaler: the one stored with the encoder.
        raw: raw features [n, dim]; a row that holds a NaN or an infinity is missing.

    Returns:
        float32 states [n, hidden], not normalised, and posteriors [n, classes]; NaN rows where missing.

    Raises:
        ModelError: the vectors do not have the encoder's width.
    """
    if raw.ndim != 2 or raw.shape[1] != encoder.input_dim:
        raise ModelError(f"features: expected shape [n, {encoder.input_dim}], got {list(raw.shape)}")
    held = np.isfinite(raw).all(axis=1)
    device = encoder.cls.device
    hidden, logits = encoder(torch.from_numpy(scaler.apply(raw[held])).to(device))
    states = np.full((len(raw), hidden.shape[1]), np.nan, dtype=np.float32)
    posteriors = np.full((len(raw), logits.shape[1]), np.nan, dtype=np.float32)
    states[held] = hidden.cpu().numpy()
    posteriors[held] = logits.softmax(dim=1).cpu().numpy()
    return states, posteriors
