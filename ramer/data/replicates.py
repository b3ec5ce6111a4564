"""Replicates: folds that share no group, and the label budget drawn per fold and seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Int64

from ramer.config import Prepare
from ramer.data.corpus import UNLABELLED, RawCorpus
from ramer.data.prepared import SPLITS
from ramer.errors import CorpusError
from ramer.seeding import generator

TRAIN, VAL, TEST, POOL = range(len(SPLITS))
_CARVED_FOLDS = 5  # of a corpus that names no split: one fold tests, one validates, three train
_FOLD_SEED = 0  # folds are the same for every seed: seeds repeat the training, not the question


@dataclass(frozen=True)
class ReplicatePlan:
    """Splits of every (fold, seed).

    Attributes:
        pairs: (fold, seed) in order.
        codes: int8 [replicates, rows], positions in ``SPLITS``.
        overlaps: per fold, how many groups two splits share.
        budget: what the label budget left out, None where there is none.
        notes: what a reader of results should know.
    """

    pairs: tuple[tuple[int, int], ...]
    codes: np.ndarray
    overlaps: dict[str, dict[str, int]]
    budget: dict[str, int] | None
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"fold{fold}_seed{seed}" for fold, seed in self.pairs)


def plan_replicates(corpus: RawCorpus, prepare: Prepare) -> ReplicatePlan:
    """Draw the splits of every fold and seed.

    Raises:
        CorpusError: too few groups or rows for the folds, a budget larger than the training rows, or a training set
            that lacks a class.
    """
    groups = _group_numbers(corpus.speakers)
    folds, notes = _folds(corpus, groups, prepare.folds)
    pairs = tuple((fold, seed) for fold in range(len(folds)) for seed in prepare.seeds)
    codes = np.stack([folds[fold] for fold, _ in pairs])
    if prepare.label_budget is not None:
        for codes_of, (fold, seed) in zip(codes, pairs, strict=True):
            _apply_budget(codes_of, corpus, groups, prepare.label_budget, fold, seed)
    plan = ReplicatePlan(
        pairs=pairs,
        codes=codes,
        overlaps={f"fold{fold}": _overlaps(codes_of, groups) for fold, codes_of in enumerate(folds)},
        budget=_budget_report(prepare.label_budget, folds),
        notes=tuple(notes),
    )
    _check(plan, corpus, folds, prepare.label_budget)
    return plan


def assign_folds(
    labels: Int64[np.ndarray, " rows"], groups: Int64[np.ndarray, " rows"], folds: int, rng: np.random.Generator
) -> Int64[np.ndarray, " rows"]:
    """Fold of every row: whole groups, classes spread evenly.

    With as many groups as folds each group is a fold, in the order of its number. Otherwise groups are placed from the
    largest to the smallest, in a random order among equals, where their classes are rarest so far.

    Args:
        labels: int64 [rows], no ``UNLABELLED``.
        groups: int64 [rows], -1 where a row is a group of its own.
        folds: at most the number of groups.

    Returns:
        int64 [rows].
    """
    groups = np.where(groups < 0, groups.max(initial=-1) + 1 + np.arange(len(groups)), groups)
    members, place = np.unique(groups, return_inverse=True)
    if len(members) < folds:
        raise CorpusError(
            f"params.yaml: prepare.folds: expected at most {len(members)}, the number of groups, got {folds}"
        )
    if len(members) == folds:
        return place
    counts = np.zeros((len(members), labels.max() + 1))
    np.add.at(counts, (place, labels), 1)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    sizes = counts.sum(axis=1)
    order = rng.permutation(len(members))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, rows, fold_of = np.zeros((folds, counts.shape[1])), np.zeros(folds), np.empty(len(members), dtype=np.int64)
    for member in order:
        fold = np.lexsort((rows, np.round(filled @ shares[member], 12)))[0]
        fold_of[member] = fold
        filled[fold] += shares[member]
        rows[fold] += sizes[member]
    return fold_of[place]


def stratified_choice(
    labels: Int64[np.ndarray, " rows"], keep: int, rng: np.random.Generator
) -> Int64[np.ndarray, " keep"]:
    """Positions of ``keep`` rows whose classes are in the proportions of ``labels``, sorted int64."""
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * keep / len(labels)
    quota = np.floor(exact).astype(int)
    # The largest remainders round up; a random order among equals keeps the first classes from always winning.
    order = rng.permutation(len(classes))
    order = order[np.argsort(-(exact - quota)[order], kind="stable")]
    quota[order[: keep - quota.sum()]] += 1
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:q] for c, q in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen))


def _group_numbers(speakers: np.ndarray) -> np.ndarray:
    """Number of every row's group in sorted order of the names, -1 where unnamed."""
    return pd.factorize(speakers, sort=True)[0].astype(np.int64)


def _folds(corpus: RawCorpus, groups: np.ndarray, folds: int) -> tuple[list[np.ndarray], list[str]]:
    if folds == 1:
        codes, notes = _own_split(corpus, groups)
        return [codes], notes
    labelled = np.flatnonzero(corpus.labels != UNLABELLED)
    fold_of = _spread(corpus, groups, labelled, folds)
    return [_fold_codes(corpus, labelled, fold_of, fold, folds) for fold in range(folds)], []


def _spread(corpus: RawCorpus, groups: np.ndarray, rows: np.ndarray, folds: int) -> np.ndarray:
    if len(rows) < folds:
        raise CorpusError(f"{corpus.source}: expected at least {folds} labelled rows to split, found {len(rows)}")
    return assign_folds(corpus.labels[rows], groups[rows], folds, generator(_FOLD_SEED, "folds", folds))


def _carved(corpus: RawCorpus, groups: np.ndarray, rows: np.ndarray, lacks: str, wanted: str) -> np.ndarray:
    """Fold of every row where the corpus leaves a split to us: ``lacks`` says what is not there, ``wanted`` of what."""
    held = groups[rows]
    known, unnamed = len(np.unique(held[held >= 0])), int((held < 0).sum())
    if known + unnamed < _CARVED_FOLDS <= len(rows):
        found = f"{known} and {unnamed} rows of none" if unnamed else known
        few = f"too few {corpus.group_name or 'speaker'}s to carve one from: {found}, expected at least {_CARVED_FOLDS}"
        raise CorpusError(f"{corpus.source}: split: {lacks}, and {few}; name {wanted} rows in the corpus")
    return _spread(corpus, groups, rows, _CARVED_FOLDS)


def _fold_codes(corpus: RawCorpus, rows: np.ndarray, fold_of: np.ndarray, fold: int, folds: int) -> np.ndarray:
    codes = np.full(corpus.rows, POOL, dtype=np.int8)
    codes[rows] = TRAIN
    codes[rows[fold_of == fold]] = TEST
    codes[rows[fold_of == (fold + 1) % folds]] = VAL
    return codes


def _own_split(corpus: RawCorpus, groups: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The corpus' own split; what it lacks is carved out of its training rows."""
    labelled = np.flatnonzero(corpus.labels != UNLABELLED)
    if corpus.splits is None:
        fold_of = _carved(corpus, groups, labelled, "missing", "train, val and test")
        note = f"the corpus names no split: fold 0 of {_CARVED_FOLDS} tests, fold 1 validates"
        return _fold_codes(corpus, labelled, fold_of, 0, _CARVED_FOLDS), [note]
    order = {name: code for code, name in enumerate(SPLITS)}
    codes = np.array([order[name] for name in corpus.splits], dtype=np.int8)
    notes = [
        f"{count} {SPLITS[code]} rows have no label: they are pool rows"
        for code in (TRAIN, VAL, TEST)
        if (count := int(((codes == code) & (corpus.labels == UNLABELLED)).sum()))
    ]
    codes[corpus.labels == UNLABELLED] = POOL
    absent = [code for code in (TEST, VAL) if not (codes == code).any()]
    if absent:
        train = np.flatnonzero(codes == TRAIN)
        names = " and ".join(SPLITS[code] for code in sorted(absent))
        fold_of = _carved(corpus, groups, train, f"no {names} rows", names)
        for fold, code in enumerate(absent):
            codes[train[fold_of == fold]] = code
            notes.append(
                f"the corpus has no {SPLITS[code]} rows: fold {fold} of {_CARVED_FOLDS} of its training rows stands in"
            )
    return codes, notes


def _apply_budget(codes: np.ndarray, corpus: RawCorpus, groups: np.ndarray, budget: int, fold: int, seed: int) -> None:
    """Move training rows beyond the budget into the pool: whole groups in a random order, the last one cut by class."""
    train = np.flatnonzero(codes == TRAIN)
    if budget > len(train):
        raise CorpusError(
            f"params.yaml: prepare.label_budget: expected at most {len(train)} in fold {fold}, got {budget}"
        )
    rng = generator(seed, "label_budget", fold)
    kept: list[np.ndarray] = []
    left = budget
    for members in _groups_in_random_order(train, groups, rng):
        if left < len(members):
            members = members[stratified_choice(corpus.labels[members], left, rng)]
        kept.append(members)
        left -= len(members)
        if not left:
            break
    codes[train] = POOL
    codes[np.concatenate(kept)] = TRAIN


def _groups_in_random_order(rows: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of each named group, groups shuffled; unnamed rows are one group, taken last."""
    named = rng.permutation(np.unique(groups[rows][groups[rows] >= 0]))
    parts = [rows[groups[rows] == group] for group in named]
    unnamed = rows[groups[rows] < 0]
    return [*parts, unnamed] if len(unnamed) else parts


def _overlaps(codes: np.ndarray, groups: np.ndarray) -> dict[str, int]:
    held = [set(groups[(codes == code) & (groups >= 0)].tolist()) for code in range(len(SPLITS))]
    return {f"{SPLITS[a]}-{SPLITS[b]}": len(held[a] & held[b]) for a, b in combinations(range(len(SPLITS)), 2)}


def _budget_report(budget: int | None, folds: list[np.ndarray]) -> dict[str, int] | None:
    if budget is None:
        return None
    report: dict[str, int] = {"label_budget": budget}
    for fold, codes in enumerate(folds):
        report[f"fold{fold}_validation_labels_beyond_budget"] = int((codes == VAL).sum())
        report[f"fold{fold}_train_labels_hidden"] = int((codes == TRAIN).sum()) - budget
    return report


def _check(plan: ReplicatePlan, corpus: RawCorpus, folds: list[np.ndarray], budget: int | None) -> None:
    faults, hidden = [], {}
    for name, (fold, _), codes in zip(plan.names, plan.pairs, plan.codes, strict=True):
        empty = [SPLITS[code] for code in (TRAIN, VAL, TEST) if not (codes == code).any()]
        faults += [f"{corpus.source}: {name}: split: no {split} rows" for split in empty]
        if "train" in empty:
            continue
        before, lacking = (_lacking(corpus, some) for some in (folds[fold], codes))
        faults += [
            f"{corpus.source}: {name}: label: no training row of class {label!r}, expected at least one"
            for label in before
        ]
        if set(lacking) - set(before):
            hidden[name] = [label for label in lacking if label not in before]
    if hidden:
        name, labels = next(iter(hidden.items()))
        more = f" and {len(hidden) - 1} more replicates" if len(hidden) > 1 else ""
        faults.append(
            f"params.yaml: prepare.label_budget: {budget} leaves no training row of class "
            f"{', '.join(map(repr, labels))} in {name}{more}, expected a budget that leaves one of every class"
        )
    if faults:
        raise CorpusError(faults)


def _lacking(corpus: RawCorpus, codes: np.ndarray) -> list[str]:
    """The classes of which no training row is."""
    held = np.bincount(corpus.labels[codes == TRAIN], minlength=len(corpus.label_names))
    return [corpus.label_names[c] for c in np.flatnonzero(held == 0)]
