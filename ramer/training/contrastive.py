"""Keys by contrastive learning across the modalities of a clip; no label is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from ramer.modalities import MODALITIES
from ramer.nn.key_networks import KeyEncoders, info_nce
from ramer.nn.masked import Masked
from ramer.progress import track
from ramer.seeding import seed_torch
from ramer.training.adamw import AdamW

TEMPERATURE, BATCH, LR, WEIGHT_DECAY = 0.1, 256, 1e-3, 1e-2
MOST_STEPS = 120  # 30 epochs of 1,000 rows


def train_keys(
    dims: Mapping[str, int], rows: Masked, epochs: int, rng: np.random.Generator, device: str
) -> KeyEncoders:
    """Bring the modalities of a clip near each other and those of other clips of a batch apart.

    Args:
        dims: length of the features per modality, 0 where the corpus lacks it.
        rows: labelled training rows and the pool with everything that they hold.
        epochs: at most; it ends before one that would go beyond ``MOST_STEPS``, but not before the first.
        rng: of the initial weights, the order of the rows and the dropout.
    """
    seed_torch(int(rng.integers(2**31)), "keys")
    encoders = KeyEncoders(dims).to(device)
    optimizer = AdamW(encoders.parameters(), LR, weight_decay=WEIGHT_DECAY)
    paired = (rows.available.sum(dim=1) > 1).nonzero().squeeze(1)
    encoders.train()
    most = max(1, MOST_STEPS // max(1, math.ceil(len(paired) / BATCH)))
    for _ in track(range(min(epochs, most)), "keys"):
        order = paired[torch.from_numpy(rng.permutation(len(paired))).to(paired.device)]
        for positions in order.split(BATCH):
            loss = _loss(encoders, rows.take(positions))
            if loss is None:
                continue
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(encoders.parameters(), 1.0)
            optimizer.step()
    return encoders.eval()


def _loss(encoders: KeyEncoders, rows: Masked) -> Tensor | None:
    """Mean over the pairs of modalities that at least two rows hold; None where there is no such pair."""
    losses = []
    keys = {m: encoders.of(m, rows.values[m]) for m in MODALITIES if m in encoders}
    for (i, first), (j, second) in combinations(enumerate(MODALITIES), 2):
        both = rows.available[:, i] & rows.available[:, j]
        if first in keys and second in keys and int(both.sum()) > 1:
            losses.append(info_nce(keys[first][both], keys[second][both], TEMPERATURE))
    return torch.stack(losses).mean() if losses else None
