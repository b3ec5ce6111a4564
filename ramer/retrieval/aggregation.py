"""From candidates to stand-ins for missing modalities, for whole batches.

A neighbour counts for a missing modality only if it holds it; the list is walked until k are found. The published
rules of RAMER (Fan et al., arXiv 2410.02804, and its code) are choices of ``Rules``, one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ramer.modalities import MODALITIES
from ramer.retrieval.candidates import ScoreCalibration, chunks, combine
from ramer.retrieval.states import l2_normalise
from ramer.retrieval.structures import Candidates, Database, Lists, Queries, Rules, Selected


class Retrieved(NamedTuple):
    """Stand-ins.

    Attributes:
        states: float32 [n, hidden] per modality, of length 1, zeros where not retrieved.
        retrieved: bool [n, 3].
        selected: the neighbours used.
        weights: of the neighbours, float64 [n, 3, k], 0 for none.
    """

    states: dict[str, np.ndarray]
    retrieved: np.ndarray
    selected: Selected
    weights: np.ndarray


def select(
    candidates: Candidates, available: Bool[np.ndarray, "n 3"], held: Bool[np.ndarray, "rows 3"], k: int
) -> Selected:
    """The first k candidates that hold each missing modality.

    Args:
        candidates: lists of the n rows, best first.
        available: what the query rows have; only what they lack is a target.
        held: what the database rows hold.
    """
    n = len(candidates.rows)
    rows = np.full((n, len(MODALITIES), k), -1, dtype=np.int64)
    scores = np.full((n, len(MODALITIES), k), np.nan)
    real = candidates.rows >= 0
    gathered = held[np.where(real, candidates.rows, 0)] & real[:, :, None]  # [n, c, 3]
    for target in np.flatnonzero(~available.all(axis=0)):
        counts = gathered[:, :, target] & ~available[:, target, None]
        rank = np.cumsum(counts, axis=1) - 1
        query, position = np.nonzero(counts & (rank < k))
        place = rank[query, position]
        rows[query, target, place] = candidates.rows[query, position]
        scores[query, target, place] = candidates.scores[query, position]
    return Selected(rows, scores)


def find(
    lists: Lists, queries: Queries, database: Database, rules: Rules, calibration: ScoreCalibration | None = None
) -> Selected:
    """Combine and select: the neighbours of every target modality, not aggregated.

    Of a shuffled database the rows are those whose contents are handed out, the scores those of the rows found.
    """
    candidates = combine(lists, queries, database, rules, calibration)
    found = select(candidates, queries.available, database.available, rules.k)
    return Selected(database.contents(found.rows, queries.numbers), found.scores)


def gather(
    database: Database, modality: str, rows: Int[np.ndarray, "n k"], normalize: bool = True
) -> Float[np.ndarray, "n k hidden"]:
    """States of neighbour rows, float32; zeros where the row is -1, which is never used as an index."""
    states = database.states[modality]
    values = np.zeros((*rows.shape, states.shape[1]), dtype=np.float32)
    real = rows >= 0
    wanted = rows[real]
    found = states[wanted]
    if normalize:
        norms = database.norms[modality][wanted]
        found = found / np.where(norms == 0, 1.0, norms)[:, None].astype(np.float32)
    values[real] = found
    return values


def weigh(scores: Float[np.ndarray, "*n k"], rules: Rules) -> Float[np.ndarray, "*n k"]:
    """Weights of the neighbours, 0 where the score is NaN: softmax(score / tau), 1 / count, or 1 for a sum."""
    real = np.isfinite(scores)
    if rules.aggregate == "sum":
        return real.astype(np.float64)
    if rules.aggregate == "mean":
        return real / np.maximum(real.sum(axis=-1, keepdims=True), 1)
    logits = np.where(real, scores / rules.tau, -np.inf)
    best = logits.max(axis=-1, keepdims=True)
    weights = np.exp(logits - np.where(np.isfinite(best), best, 0.0))
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)


def aggregate(selected: Selected, database: Database, rules: Rules) -> Retrieved:
    """Stand-ins from selected neighbours: their weighted states, of length 1."""
    weights = weigh(selected.scores, rules)
    retrieved = selected.retrieved
    states = {}
    for target, modality in enumerate(MODALITIES):
        hidden = database.states[modality].shape[1]
        out = np.zeros((len(weights), hidden), dtype=np.float32)
        members = np.flatnonzero(retrieved[:, target])
        states[modality] = out
        if not len(members):
            continue
        for part in chunks(members, selected.rows.shape[2] * hidden):
            values = gather(database, modality, selected.rows[part, target], rules.normalize_values)
            out[part] = np.einsum("nk,nkh->nh", weights[part, target], values)
        states[modality] = l2_normalise(out)
    return Retrieved(states, retrieved, selected, weights)
