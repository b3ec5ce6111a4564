"""What the neighbours are: how pure in label, how often the same speaker, how near."""

from __future__ import annotations

from typing import Any

import numpy as np

from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.modalities import MODALITIES
from ramer.retrieval.exclusion import excluded_counts, exclusion_codes
from ramer.retrieval.indexes import DatabaseIndex, StoredIndex
from ramer.retrieval.search import search
from ramer.seeding import generator

TOP = 5  # neighbours that the figures are about
MOST_ROWS = 2000  # train rows searched again without exclusion


def diagnose(
    corpus: PreparedCorpus,
    replicate: Replicate,
    modality: str,
    states: np.ndarray,
    index: StoredIndex,
    queries: np.ndarray,
    rows: np.ndarray,
    scores: np.ndarray,
) -> dict[str, Any]:
    """Figures of one replicate's lists; null where there is nothing to average.

    ``label_purity``: share of the labelled among the top 5 that have the query's label. Encoders have seen the labels
    of train rows, so train far above test means that training neighbours are better than a new clip's.
    ``same_speaker``: share of the top 5 from the query's own speaker, over named train rows. ``index_recall_at_5``:
    what the sidecar of an approximate index says.

    Args:
        states: raw states [rows, hidden]. queries: row numbers [Q]. rows, scores: their lists [Q, width].
    """
    labels, recall = corpus.labels(replicate), index.about.recall_at_5
    database_labels = np.full(corpus.rows, -1)
    database_labels[index.rows] = labels[index.rows]
    of_split = {s: np.isin(queries, corpus.rows_in(replicate, s)) for s in ("train", "val", "test")}
    top = np.asarray(rows[:, :TOP])
    found = np.where(top >= 0, database_labels[np.maximum(top, 0)], -1)
    same = found == labels[queries, None]
    first = np.asarray(scores[:, 0])
    named = of_split["train"] & (corpus.groups[queries] >= 0)
    return {
        **({} if recall is None else {"index_recall_at_5": recall}),
        "database_rows": len(index.rows),
        "label_purity": {s: _share(same[members], found[members] >= 0) for s, members in of_split.items()},
        "top_score": {s: _mean(first[members & np.isfinite(first)]) for s, members in of_split.items()},
        "same_speaker": {
            "with_exclusion": _same_speaker(corpus, queries[named], top[named]),
            "without_exclusion": _without_exclusion(corpus, replicate, modality, states, index, queries[named]),
            "chance": _chance(corpus, modality, index, queries[named]),
        },
    }


def short_lists(
    corpus: PreparedCorpus, modality: str, index: DatabaseIndex, exclude: str, queries: np.ndarray, rows: np.ndarray
) -> float:
    """Share of the lists that hold fewer rows than there are for them: none, unless the search has missed some.

    Args:
        exclude: as in ``retrieval``. queries: row numbers [Q]. rows: their lists [Q, width].
    """
    held = corpus.available[queries, MODALITIES.index(modality)]
    codes = exclusion_codes(corpus.groups, exclude)
    most = len(index.rows) - excluded_counts(codes[index.rows], codes[queries[held]])[0]
    found = (np.asarray(rows)[held] >= 0).sum(axis=1)
    return float(np.mean(found < np.minimum(most, rows.shape[1]))) if held.any() else 0.0


def average(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean of every figure over replicates, those without a figure left out."""
    trees = list(reports.values())
    keys = dict.fromkeys(key for tree in trees for key in tree)
    return {key: _average([tree[key] for tree in trees if key in tree]) for key in keys}


def _average(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {key: _average([v[key] for v in values]) for key in values[0]}
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _without_exclusion(
    corpus: PreparedCorpus,
    replicate: Replicate,
    modality: str,
    states: np.ndarray,
    index: DatabaseIndex,
    queries: np.ndarray,
) -> float | None:
    asked = queries[corpus.available[queries, MODALITIES.index(modality)]]
    if len(asked) > MOST_ROWS:
        rng = generator(replicate.seed, "diagnostics", replicate.fold, modality)
        asked = np.sort(rng.choice(asked, MOST_ROWS, replace=False))
    codes = exclusion_codes(corpus.groups, "self")
    hits = search(index, states, states[asked], TOP, codes=codes, query_codes=codes[asked])
    return _same_speaker(corpus, asked, hits.rows)


def _same_speaker(corpus: PreparedCorpus, queries: np.ndarray, neighbours: np.ndarray) -> float | None:
    found = corpus.groups[np.maximum(neighbours, 0)]
    return _share(found == corpus.groups[queries, None], neighbours >= 0)


def _chance(corpus: PreparedCorpus, modality: str, index: DatabaseIndex, queries: np.ndarray) -> float | None:
    """Share of the other database rows that are of the query's speaker."""
    asked = queries[corpus.available[queries, MODALITIES.index(modality)]]
    groups = corpus.groups[index.rows]
    counts = np.bincount(groups[groups >= 0], minlength=int(corpus.groups.max(initial=-1)) + 1)
    itself = np.isin(asked, index.rows).astype(np.int64)
    others = len(index.rows) - itself
    usable = others > 0
    return _mean((counts[corpus.groups[asked]] - itself)[usable] / others[usable])


def _share(hits: np.ndarray, counted: np.ndarray) -> float | None:
    return float((hits & counted).sum() / counted.sum()) if counted.any() else None


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values, dtype=np.float64)) if len(values) else None
