"""The one place that masks: the database is what ``retrieval.scope`` says, and the draws are the same for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ramer.config import MissingRates
from ramer.data.prepared import SPLITS
from ramer.errors import StaleError
from ramer.inputs import NEIGHBOURS, SHUFFLED, STATES
from ramer.modalities import CONDITIONS, FULL_CONDITION, condition_probabilities
from ramer.training.labelled_rows import TrainingBatch, draw_conditions
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace


def scoped(workspace: Workspace, scope: str) -> ReplicateData:
    tables = {m: replace(t, info=t.info.model_copy(update={"scope": scope})) for m, t in workspace.neighbours.items()}
    return ReplicateData(workspace.corpus, workspace.corpus.replicates[0], workspace.states, tables)


@pytest.mark.parametrize(("scope", "splits"), [("train", {"train"}), ("pool", {"pool"}), ("all", {"train", "pool"})])
def test_the_database_holds_the_scope_and_nothing_else(
    workspace: Workspace,
    scope: str,
    splits: set[str],
) -> None:
    held = scoped(workspace, scope).database.available.any(axis=1)
    codes = workspace.corpus.split_codes[0]
    assert {SPLITS[code] for code in np.unique(codes[held])} == splits


def test_pool_rows_of_the_database_carry_no_label(workspace: Workspace) -> None:
    labels = scoped(workspace, "all").database.labels
    codes = workspace.corpus.split_codes[0]
    assert (labels[codes == SPLITS.index("train")] >= 0).all()
    assert (labels[codes != SPLITS.index("train")] == -1).all()


@pytest.mark.parametrize("key", ["scope", "exclude"])
def test_lists_by_different_rules_are_refused(workspace: Workspace, key: str) -> None:
    """The laxer of two exclusions would let a speaker through."""
    tables = dict(workspace.neighbours)
    other = {"scope": "pool", "exclude": "self"}[key]
    tables["video"] = replace(tables["video"], info=tables["video"].info.model_copy(update={key: other}))
    data = ReplicateData(workspace.corpus, workspace.corpus.replicates[0], workspace.states, tables)
    with pytest.raises(StaleError, match=rf"lists of {key} .* and .*, expected one"):
        data.database_for(frozenset({NEIGHBOURS, SHUFFLED}))


def test_a_list_that_leaves_the_scope_is_refused(workspace: Workspace) -> None:
    data = scoped(workspace, "pool")  # the lists were made for train and pool rows
    train = workspace.corpus.rows_in(data.replicate, "train")
    with pytest.raises(StaleError, match="outside the scope"):
        data.batch(train, np.ones(3, dtype=bool), frozenset({STATES, NEIGHBOURS}))


def test_draws_leave_every_row_something_and_cover_all_conditions(workspace: Workspace) -> None:
    data = scoped(workspace, "all")
    train = TrainingBatch(data, frozenset({STATES}))
    seen = set()
    for epoch in range(5):
        drawn = train.conditions_at(epoch)
        np.testing.assert_array_equal(drawn, draw_conditions(data.corpus.available[train.rows], data.replicate, epoch))
        names = np.array(list(CONDITIONS))[drawn]
        seen |= set(names)
        for name in set(names):
            assert train.under(name).available[names == name].any(axis=1).all()
    assert seen == set(CONDITIONS)
    assert not np.array_equal(train.conditions_at(0), train.conditions_at(1))
    assert train.under(FULL_CONDITION) is train.complete


def test_conditions_follow_missing_rates_where_they_are_asked_for(workspace: Workspace) -> None:
    data = scoped(workspace, "all")
    available = np.ones((20_000, 3), dtype=bool)
    rates = MissingRates(audio=0.8, video=0.2, text=0.5)
    drawn = draw_conditions(available, data.replicate, 0, rates)
    shares = np.bincount(drawn, minlength=7) / len(drawn)
    np.testing.assert_allclose(shares, condition_probabilities(rates.values), atol=0.015)
    train = TrainingBatch(data, frozenset({STATES}), missing_rates=rates)
    held = data.corpus.available[train.rows]
    np.testing.assert_array_equal(train.conditions_at(3), draw_conditions(held, data.replicate, 3, rates))
