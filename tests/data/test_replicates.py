from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramer.config import Prepare
from ramer.data.corpus import RawCorpus, strings
from ramer.data.prepared import SPLITS, PreparedCorpus
from ramer.data.replicates import assign_folds, plan_replicates, stratified_choice
from ramer.errors import CorpusError
from ramer.modalities import MODALITIES

TRAIN, VAL, TEST, POOL = range(len(SPLITS))
Arrays = dict[str, np.ndarray]


def _corpus(labels: np.ndarray, speakers: list[str | None], splits: list[str] | None = None) -> RawCorpus:
    return RawCorpus(
        name="test",
        source="corpus.npz",
        ids=strings([f"clip{i}" for i in range(len(labels))]),
        speakers=strings(speakers),
        labels=labels.astype(np.int64),
        label_names=tuple(f"class{c}" for c in range(labels.max() + 1)),
        splits=None if splits is None else np.array(splits, dtype=object),
        sources=dict.fromkeys(MODALITIES),
    )


@st.composite
def grouped_rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    folds = draw(st.integers(3, 6))
    groups = draw(st.lists(st.integers(-1, 12), min_size=folds, max_size=80))
    members = len({g for g in groups if g >= 0}) + groups.count(-1)
    folds = min(folds, members)
    labels = draw(st.lists(st.integers(0, 3), min_size=len(groups), max_size=len(groups)))
    return np.array(labels), np.array(groups), folds


@settings(deadline=None, max_examples=200)
@given(grouped_rows(), st.integers(0, 5))
def test_folds_share_no_group_and_none_is_empty(case: tuple[np.ndarray, np.ndarray, int], seed: int) -> None:
    labels, groups, folds = case
    fold_of = assign_folds(labels, groups, folds, np.random.default_rng(seed))
    assert set(fold_of.tolist()) == set(range(folds))
    for group in set(groups.tolist()) - {-1}:
        assert len(set(fold_of[groups == group].tolist())) == 1


def test_folds_spread_the_classes() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(4, size=2000, p=[0.5, 0.3, 0.15, 0.05])
    groups = rng.integers(0, 100, size=2000)
    for given_groups, slack in ((groups, 6), (np.full(2000, -1), 1)):
        fold_of = assign_folds(labels, given_groups, 5, np.random.default_rng(0))
        counts = np.array([[((fold_of == f) & (labels == c)).sum() for c in range(4)] for f in range(5)])
        expected = np.bincount(labels) / 5
        assert (abs(counts - expected) <= slack + 0.1 * expected).all(), counts


def test_as_many_groups_as_folds_leave_one_group_out_in_order() -> None:
    groups = np.array([2, 0, 1, 4, 3, 2, 0])
    fold_of = assign_folds(np.array([0, 1, 0, 1, 0, 1, 0]), groups, 5, np.random.default_rng(0))
    assert fold_of.tolist() == groups.tolist()


def test_fewer_groups_than_folds_is_refused() -> None:
    corpus = _corpus(np.arange(40) % 2, [f"s{i % 4}" for i in range(40)])
    with pytest.raises(CorpusError, match=r"prepare\.folds: expected at most 4, the number of groups, got 5"):
        plan_replicates(corpus, Prepare(folds=5))


@pytest.mark.parametrize("named", [True, False])
def test_k_folds_test_every_row_once_and_validate_on_the_next_fold(named: bool) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, size=200)
    labels[:20] = -1
    speakers = [f"s{s}" if named else None for s in rng.integers(0, 15, size=200)]
    plan = plan_replicates(_corpus(labels, speakers), Prepare(folds=4, seeds=(0, 7)))
    assert plan.names == tuple(f"fold{f}_seed{s}" for f in range(4) for s in (0, 7))
    by_fold = plan.codes[::2]
    np.testing.assert_array_equal(by_fold, plan.codes[1::2])  # folds are the same for all seeds
    assert (plan.codes[:, :20] == POOL).all()
    assert ((by_fold == TEST).sum(axis=0)[20:] == 1).all()
    for fold in range(4):
        np.testing.assert_array_equal(by_fold[fold] == VAL, by_fold[(fold + 1) % 4] == TEST)
        shared = plan.overlaps[f"fold{fold}"]
        assert shared["train-val"] == shared["train-test"] == shared["val-test"] == 0
        assert bool(shared["test-pool"]) == named  # unlabelled rows of a test speaker: counted, not hidden
    if named:
        for codes in by_fold:
            held = [{s for s, c in zip(speakers[20:], codes[20:], strict=True) if c == k} for k in (TRAIN, VAL, TEST)]
            assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]


@pytest.mark.parametrize("absent", [{"val"}, {"test"}, {"val", "test"}])
def test_splits_that_the_corpus_lacks_are_carved_out_of_train(absent: set[str]) -> None:
    splits = [s for s in ["train"] * 100 + ["val"] * 20 + ["test"] * 20 if s not in absent]
    labels = np.arange(len(splits)) % 2
    plan = plan_replicates(_corpus(labels, [None] * len(splits), splits), Prepare(seeds=(0,)))
    counts = np.bincount(plan.codes[0], minlength=4)
    assert counts.tolist() == [100 - 20 * len(absent), 20, 20, 0]
    given_test = np.array(splits) == "test"
    assert (plan.codes[0][given_test] == TEST).all()
    assert len(plan.notes) == len(absent)
    assert all(any(f"no {split} rows" in note for note in plan.notes) for split in absent)


@pytest.mark.parametrize("absent", [("val",), ("test",), ("val", "test")])
@pytest.mark.parametrize(
    ("speakers", "found"),
    [
        (["a"] * 40, "1"),
        (["a", "b", "c", "d"] * 10, "4"),
        (["a"] * 38 + [None] * 2, "1 and 2 rows of none"),
    ],
)
def test_too_few_speakers_to_carve_a_split_from_are_said_of_the_corpus(
    absent: tuple[str, ...], speakers: list[str | None], found: str
) -> None:
    splits = [s for s in ["train"] * 40 + ["val"] * 20 + ["test"] * 20 if s not in absent]
    corpus = _corpus(np.arange(len(splits)) % 2, [*speakers, *["e"] * (len(splits) - 40)], splits)
    with pytest.raises(CorpusError) as caught:
        plan_replicates(corpus, Prepare(seeds=(0,)))
    lacks = " and ".join(absent)
    assert caught.value.faults == [
        f"corpus.npz: split: no {lacks} rows, and too few speakers to carve one from: {found}, expected at "
        f"least 5; name {lacks} rows in the corpus"
    ]


def _budgeted(budget: int, seeds: tuple[int, ...] = (0, 1), named: bool = True) -> tuple[RawCorpus, np.ndarray]:
    rows = 240
    splits = ["train"] * 160 + ["val"] * 40 + ["test"] * 40
    speakers = [f"s{i // 20:02d}" if named else None for i in range(rows)]
    corpus = _corpus(np.arange(rows) % 4, speakers, splits)
    return corpus, plan_replicates(corpus, Prepare(seeds=seeds, label_budget=budget)).codes


def test_a_budget_keeps_whole_speakers_and_cuts_the_last_by_class() -> None:
    corpus, codes = _budgeted(50)
    for codes_of in codes:
        train = codes_of == TRAIN
        assert train.sum() == 50
        kept = [int((train & (corpus.speakers == s)).sum()) for s in np.unique(corpus.speakers[train])]
        assert sorted(kept) == [10, 20, 20]
        cut = np.unique(corpus.speakers[train])[kept.index(10)]
        assert np.ptp(np.bincount(corpus.labels[train & (corpus.speakers == cut)])) <= 1
        assert (codes_of[160:200] == VAL).all()
        assert (codes_of[200:] == TEST).all()
        assert (codes_of == POOL).sum() == 110
    assert (codes[0] != codes[1]).any()  # drawn per seed


def test_a_budget_without_speakers_keeps_rows_by_class() -> None:
    corpus, codes = _budgeted(50, named=False)
    counts = np.bincount(corpus.labels[codes[0] == TRAIN])
    assert counts.sum() == 50
    assert np.ptp(counts) <= 1


def test_a_smaller_budget_of_the_same_seed_keeps_the_same_speakers() -> None:
    """Budgets nest, so that a curve over budgets adds data and does not exchange it."""
    _, small = _budgeted(40, seeds=(3,))
    _, large = _budgeted(80, seeds=(3,))
    assert ((large[0] == TRAIN) | (small[0] != TRAIN)).all()


def test_a_budget_is_refused_where_it_is_too_large_or_loses_a_class() -> None:
    with pytest.raises(CorpusError, match=r"prepare\.label_budget: expected at most 160.*got 161"):
        _budgeted(161)
    with pytest.raises(CorpusError, match="no training row of class") as refused:
        _budgeted(3, seeds=(0, 1))
    (line,) = refused.value.faults
    assert line.startswith("params.yaml: prepare.label_budget: 3 leaves no training row of class '")
    assert "' in fold0_seed0 and 1 more replicates, expected" in line


def test_a_budget_hides_labels_and_is_reported(packed: Arrays, prepared: Callable[..., PreparedCorpus]) -> None:
    corpus = prepared(packed, label_budget=30, seeds=[0, 1])
    always_pool = np.ones(corpus.rows, dtype=bool)
    for replicate in corpus.replicates:
        pool = corpus.rows_in(replicate, "pool")
        assert len(pool) == 10 + 40
        assert (corpus.labels(replicate)[pool] == -1).all()
        always_pool &= corpus.split_codes[replicate.index] == POOL
    assert (corpus._labels[always_pool] == -1).all()  # not even in the file
    assert corpus.info.label_budget == {
        "label_budget": 30,
        "fold0_validation_labels_beyond_budget": 20,
        "fold0_train_labels_hidden": 40,
    }


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_a_stratified_choice_is_within_one_of_the_exact_share(labels: list[int], data: st.DataObject) -> None:
    keep = data.draw(st.integers(0, len(labels)))
    array = np.array(labels)
    chosen = stratified_choice(array, keep, np.random.default_rng(0))
    assert len(set(chosen.tolist())) == len(chosen) == keep
    for c in set(labels):
        assert abs((array[chosen] == c).sum() - keep * (array == c).mean()) < 1
