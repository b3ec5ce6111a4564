"""Training of the score that reranks candidates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ramer.modalities import MISSING_CONDITIONS, MODALITIES
from ramer.retrieval.reranking import FEATURES, describe, true_cosines
from ramer.retrieval.structures import Candidates
from ramer.seeding import seed_torch
from ramer.training.adamw import AdamW
from ramer.training.batches import Batch
from ramer.training.labelled_rows import TrainingBatch

HIDDEN = 32
STEPS = 400
BATCH = 4096
LEARNING_RATE = 3e-3
MOST_QUERIES = 4000  # training rows described per condition


def new_scorer() -> nn.Sequential:
    """Figures of a candidate to its predicted cosine with what is missing."""
    return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))


def learn_scorer(
    train: TrainingBatch, combine: Callable[[Batch], Candidates], rng: np.random.Generator, device: str
) -> nn.Sequential:
    """Least squares on the candidates of training rows under the six missing conditions.

    Args:
        combine: the candidates of a batch; their lists leave out the row itself and its speaker.
    """
    rows = np.arange(len(train))
    if len(rows) > MOST_QUERIES:
        rows = np.sort(rng.choice(rows, MOST_QUERIES, replace=False))
    complete = train.complete.take(rows)
    figures, cosines = [], []
    for condition in MISSING_CONDITIONS:
        batch = train.under(condition).take(rows)
        candidates = combine(batch)
        for i, m in enumerate(MODALITIES):
            pairs = describe(candidates, batch.lists, batch.queries, batch.database, i)
            found = true_cosines(pairs, complete.states[m], complete.available[:, i], batch.database, m)
            figures.append(found[0])
            cosines.append(found[1])
    x = torch.from_numpy(np.concatenate(figures)).to(device)
    y = torch.from_numpy(np.concatenate(cosines)).to(device)
    seed_torch(int(rng.integers(2**31)), "scorer")
    scorer = new_scorer().to(device)
    if not len(x):
        return scorer
    optimizer = AdamW(scorer.parameters(), LEARNING_RATE, weight_decay=0.0)
    for _ in range(STEPS):
        drawn = torch.from_numpy(rng.integers(0, len(x), min(BATCH, len(x)))).to(device)
        optimizer.zero_grad()
        nn.functional.mse_loss(scorer(x[drawn])[:, 0], y[drawn]).backward()
        optimizer.step()
    return scorer.eval()


def score_with(scorer: nn.Sequential) -> Callable[[np.ndarray], np.ndarray]:
    """The scorer in double precision, so that a score depends on the batch no more than rounding forgives."""
    weights = [p.detach().cpu().numpy().astype(np.float64) for p in scorer.parameters()]

    def score(figures: np.ndarray) -> np.ndarray:
        hidden = np.maximum(figures.astype(np.float64) @ weights[0].T + weights[1], 0.0)
        return np.asarray((hidden @ weights[2].T + weights[3])[:, 0])

    return score
