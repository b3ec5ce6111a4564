"""Rerank and select: candidates ordered by a learned score of how well they stand in for what is missing.

The step is drawn in the figure of RAMER (Fan et al., arXiv 2410.02804) and absent from its code. The score predicts
the cosine between a candidate's state and the query's own state of the missing modality, from figures that need no
label; it is learned on training rows, whose missing states are known and whose lists leave their speaker out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import gather
from ramer.retrieval.candidates import chunks, pair_scores
from ramer.retrieval.states import l2_normalise
from ramer.retrieval.structures import Candidates, Database, Lists, Queries, Selected

FEATURES = 15
CONSENSUS_TAU = 0.1  # of the candidates' weights in the mean that consensus is measured against
DECIMALS = 6  # of a score: what rounding leaves does not depend on the batch

Score = Callable[[np.ndarray], np.ndarray]


class Pairs(NamedTuple):
    """Candidates of one missing modality as figures.

    Attributes:
        members: int [q], positions of the queries that lack it.
        features: float32 [q, c, FEATURES].
        rows: int64 [q, c], whose contents are handed out, -1 for none or where it does not hold the modality.
    """

    members: np.ndarray
    features: np.ndarray
    rows: np.ndarray


def describe(candidates: Candidates, lists: Lists, queries: Queries, database: Database, target: int) -> Pairs:
    """Figures of every candidate for one target: cosine and place in each available space, whether the lists agree,
    its combined score, how near its state is to the mean of the others', what is available and what is wanted.

    Args:
        candidates: of all queries, from ``combine``.
        lists, queries: what the candidates were combined from; masked entries are never read.
        target: position of the missing modality.
    """
    lacking = ~queries.available[:, target] & (candidates.rows >= 0).any(axis=1)
    members = np.flatnonzero(lacking)
    rows, near, asked = candidates.rows[members], lists.take(members), queries.take(members)
    handed = database.contents(rows[:, None], asked.numbers)[:, 0]
    holds = (rows >= 0) & database.available[np.maximum(rows, 0), target]
    handed = np.where(holds, handed, -1)
    features = np.zeros((*rows.shape, FEATURES), dtype=np.float32)
    places = np.zeros(rows.shape)
    for i, m in enumerate(MODALITIES):
        held = asked.available[:, i, None]
        state = np.where(held, asked.states[m], np.float32(0))
        features[:, :, i] = np.nan_to_num(pair_scores(state, rows, database, m), nan=0.0) * held
        place = _inverse_places(rows, np.where(held, near.rows[m], -1))
        features[:, :, 3 + i] = place
        features[:, :, 6 + i] = held
        places += place > 0
    features[:, :, 9] = places > 1
    features[:, :, 10] = np.nan_to_num(candidates.scores[members], nan=0.0)
    features[:, :, 11] = _consensus(handed, candidates.scores[members], database, MODALITIES[target])
    features[:, :, 12 + target] = 1.0
    return Pairs(members, features, handed)


def _inverse_places(rows: Int[np.ndarray, "q c"], listed: Int[np.ndarray, "q w"]) -> Float[np.ndarray, "q c"]:
    """1 / place of each row in its query's list, 0 where the list lacks it."""
    if not len(rows):
        return np.zeros(rows.shape)
    count = int(max(rows.max(), listed.max())) + 1
    query = np.arange(len(rows))[:, None] * count
    keys = np.where(listed >= 0, query + listed, -1).ravel()  # a pair of query and row as one number
    order = np.argsort(keys, kind="stable")
    at = order[np.minimum(np.searchsorted(keys, query + rows, sorter=order), len(keys) - 1)]
    return np.where((rows >= 0) & (keys[at] == query + rows), 1.0 / (1.0 + at % listed.shape[1]), 0.0)


def _consensus(
    rows: Int[np.ndarray, "q c"], scores: Float[np.ndarray, "q c"], database: Database, modality: str
) -> Float[np.ndarray, "q c"]:
    """Cosine of each candidate's state with the mean of all of them, weighted by softmax(score / tau)."""
    out = np.zeros(rows.shape)
    for part in chunks(np.arange(len(rows)), rows.shape[1] * max(database.states[modality].shape[1], 1)):
        values = gather(database, modality, rows[part])
        logits = np.where(rows[part] >= 0, scores[part] / CONSENSUS_TAU, -np.inf)
        best = logits.max(axis=1, keepdims=True)
        weights = np.exp(logits - np.where(np.isfinite(best), best, 0.0)).astype(np.float32)
        mean = l2_normalise(np.matmul(weights[:, None], values)[:, 0])
        out[part] = np.matmul(values, mean[:, :, None])[:, :, 0]
    return out


def rerank(
    candidates: Candidates, lists: Lists, queries: Queries, database: Database, score: Score, k: int
) -> Selected:
    """The k candidates with the largest learned score that hold each missing modality, best first.

    Args:
        score: figures float32 [pairs, FEATURES] to predicted cosines [pairs].
    """
    shape = (len(candidates.rows), len(MODALITIES), k)
    rows, scores = np.full(shape, -1, dtype=np.int64), np.full(shape, np.nan)
    for target in range(len(MODALITIES)):
        pairs = describe(candidates, lists, queries, database, target)
        usable = pairs.rows >= 0
        learned = np.full(pairs.rows.shape, np.nan)
        learned[usable] = np.round(score(pairs.features[usable]), DECIMALS)
        order = np.argsort(-learned, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(learned, order, axis=1)
        rows[pairs.members, target, : best.shape[1]] = np.take_along_axis(pairs.rows, order, axis=1)
        scores[pairs.members, target, : best.shape[1]] = best
    return Selected(rows, scores)


def true_cosines(
    pairs: Pairs, states: Float[np.ndarray, "n hidden"], known: Bool[np.ndarray, " n"], database: Database, target: str
) -> tuple[Float[np.ndarray, "pairs features"], Float[np.ndarray, " pairs"]]:
    """Figures and true cosines of all candidates of the queries whose own state is known: what the score learns.

    Args:
        states: the queries' own states of the target. known: whose state is there.
    """
    usable = (pairs.rows >= 0) & known[pairs.members, None]
    query, place = np.nonzero(usable)
    cosines = np.empty(len(query), dtype=np.float32)
    for part in chunks(np.arange(len(query)), max(states.shape[1], 1)):
        own = l2_normalise(states[pairs.members[query[part]]])
        values = gather(database, target, pairs.rows[query[part], place[part]][:, None])[:, 0]
        cosines[part] = np.einsum("nh,nh->n", own, values)
    return pairs.features[usable], cosines
