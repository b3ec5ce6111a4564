"""Which rows could stand in for what a query lacks: one list of candidates per query.

One available modality gives its own list; two give one list by ``bimodal``. The published rules of RAMER
(Fan et al., arXiv 2410.02804, and its code) are choices of ``Rules``, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ramer.errors import RetrievalError
from ramer.modalities import CONDITIONS, FULL_CONDITION, MODALITIES, condition_masks
from ramer.retrieval.states import l2_normalise, row_norms
from ramer.retrieval.structures import Candidates, Database, Lists, Queries, Rules

CHUNK_FLOATS = 8_000_000  # gathered states held at a time: 32 MB


@dataclass(frozen=True)
class ScoreCalibration:
    """Each space's score as its quantile among validation scores, so that two spaces compare.

    Attributes:
        sorted_scores: per modality the validation scores, ascending, float64.
    """

    sorted_scores: dict[str, np.ndarray]

    @classmethod
    def fit(cls, lists: Lists) -> ScoreCalibration:
        """Learn from validation lists (of ``own_scores`` where the query is not normalised)."""
        return cls({m: np.sort(s[np.isfinite(s)].astype(np.float64)) for m, s in lists.scores.items()})

    def quantiles(self, modality: str, scores: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n c"]:
        """Share of validation scores at or below each score; NaN stays NaN."""
        known = self.sorted_scores[modality]
        ranks = np.searchsorted(known, scores, side="right") / max(len(known), 1)
        return np.where(np.isnan(scores), np.nan, ranks)


def own_scores(lists: Lists, queries: Queries, rules: Rules) -> Lists:
    """Lists with the scores that ``rules`` mean: cosine, or inner product with the raw query."""
    if rules.normalize_query:
        return lists
    scaled = {m: s * row_norms(queries.states[m])[:, None] for m, s in lists.scores.items()}
    return Lists(lists.rows, scaled)


def combine(
    lists: Lists, queries: Queries, database: Database, rules: Rules, calibration: ScoreCalibration | None = None
) -> Candidates:
    """One list of candidates per row from the lists of its available modalities.

    Rows with no or all modalities available get an empty list: nothing can or need be retrieved.

    Raises:
        RetrievalError: ``bimodal: calibrated`` without a calibration.
    """
    if rules.bimodal == "calibrated" and calibration is None:
        raise RetrievalError("bimodal: calibrated: expected a calibration fitted on validation lists")
    lists = own_scores(lists, queries, rules)
    n, width = next(iter(lists.rows.values())).shape
    rows = np.full((n, 2 * width), -1, dtype=np.int64)
    scores = np.full((n, 2 * width), np.nan)
    for condition, mask in zip(CONDITIONS, condition_masks(), strict=True):
        names = CONDITIONS[condition]
        members = np.flatnonzero((queries.available == mask).all(axis=1))
        if condition == FULL_CONDITION or not len(members):
            continue
        part, asked = lists.take(members), queries.take(members)
        if len(names) == 1:
            found = Candidates(part.rows[names[0]], part.scores[names[0]])
        elif rules.bimodal == "kth_score":
            found = _larger_kth(part, names, rules)
        elif rules.bimodal == "calibrated" and calibration is not None:
            found = _merge(part, {m: calibration.quantiles(m, part.scores[m]) for m in names}, names)
        else:
            found = _merge(part, _mean_scores(part, asked, database, names, rules), names)
        rows[members, : found.rows.shape[1]] = found.rows
        scores[members, : found.rows.shape[1]] = found.scores
    skip = int(rules.drop_first)
    return Candidates(rows[:, skip:], scores[:, skip:])


def chunks(members: np.ndarray, floats_each: int) -> Iterator[np.ndarray]:
    size = max(1, CHUNK_FLOATS // max(floats_each, 1))
    for start in range(0, len(members), size):
        yield members[start : start + size]


def _larger_kth(lists: Lists, names: tuple[str, ...], rules: Rules) -> Candidates:
    """The published rule: the space whose k-th score is larger is used alone, though the two do not compare."""
    place = rules.k + int(rules.drop_first) - 1
    first, second = names
    counts = {m: (lists.rows[m] >= 0).sum(axis=1) for m in names}
    kth = {
        m: np.where(counts[m] > place, lists.scores[m][:, min(place, lists.scores[m].shape[1] - 1)], -np.inf)
        for m in names
    }
    # Lists that are both shorter than k: the longer one, so that an empty list never wins.
    use_second = (kth[second] > kth[first]) | (
        np.isneginf(kth[first]) & np.isneginf(kth[second]) & (counts[second] > counts[first])
    )
    pick = use_second[:, None]
    return Candidates(
        np.where(pick, lists.rows[second], lists.rows[first]), np.where(pick, lists.scores[second], lists.scores[first])
    )


def _mean_scores(
    lists: Lists, queries: Queries, database: Database, names: tuple[str, ...], rules: Rules
) -> dict[str, np.ndarray]:
    """Per list [n, width]: each candidate's mean score over the available modalities that it holds."""
    means = {}
    for own, other in (names, names[::-1]):
        across = pair_scores(queries.states[other], lists.rows[own], database, other, rules.normalize_query)
        means[own] = np.where(np.isnan(across), lists.scores[own], (lists.scores[own] + across) / 2)
    return means


def pair_scores(
    queries: Float[np.ndarray, "n hidden"],
    rows: Int[np.ndarray, "n c"],
    database: Database,
    modality: str,
    normalize_query: bool = True,
) -> Float[np.ndarray, "n c"]:
    """Cosine (or inner product with the raw query) of each query and its candidates in one modality's space.

    NaN where the row is -1 or does not hold the modality.
    """
    states, norms = database.states[modality], database.norms[modality]
    column = MODALITIES.index(modality)
    scores = np.full(rows.shape, np.nan)
    vectors = l2_normalise(queries) if normalize_query else np.asarray(queries, dtype=np.float32)
    for part in chunks(np.arange(len(rows)), rows.shape[1] * max(states.shape[1], 1)):
        wanted = np.where(rows[part] >= 0, rows[part], 0)
        holds = (rows[part] >= 0) & database.available[wanted, column]
        # Row 0 stands in for what is not there and is overwritten by NaN below.
        with np.errstate(invalid="ignore", divide="ignore"):
            products = np.matmul(states[wanted], vectors[part][:, :, None])[:, :, 0]
            scores[part] = np.where(holds, products / norms[wanted], np.nan)
    return scores


def _merge(lists: Lists, scores: dict[str, np.ndarray], names: tuple[str, ...]) -> Candidates:
    """Union of two lists by the given scores: each row once, with its best score; ties by row number."""
    rows = np.concatenate([lists.rows[m] for m in names], axis=1).astype(np.int64)
    merged = np.concatenate([scores[m] for m in names], axis=1)
    by_row = np.lexsort((-merged, rows), axis=-1)
    rows = np.take_along_axis(rows, by_row, axis=1)
    merged = np.take_along_axis(merged, by_row, axis=1)
    repeated = np.zeros(rows.shape, dtype=bool)
    repeated[:, 1:] = rows[:, 1:] == rows[:, :-1]
    rows = np.where(repeated, -1, rows)
    merged = np.where(rows < 0, np.nan, merged)
    order = np.lexsort((rows, -merged), axis=-1)
    return Candidates(np.take_along_axis(rows, order, axis=1), np.take_along_axis(merged, order, axis=1))
