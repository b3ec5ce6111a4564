"""Finders: rules, a learned order, quantiles, and finding each batch once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ramer.methods.shared.candidate_scorer import new_scorer
from ramer.methods.shared.finding import RememberingFinder, RuleFinder
from ramer.retrieval.aggregation import find
from ramer.retrieval.candidates import ScoreCalibration
from ramer.retrieval.structures import Neighbours, Rules, Selected
from ramer.training.batches import Batch
from tests.support.neighbour_cases import make_case


def make_batch(seed: int = 0) -> Batch:
    lists, queries, database = make_case(seed)
    nowhere = np.full(len(queries.available), -1)
    return Batch(nowhere, queries.available, states=queries.states, neighbours=Neighbours(lists, database))


def assert_same(one: Selected, other: Selected) -> None:
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_rules_alone_find_what_retrieval_finds() -> None:
    batch, rules = make_batch(), Rules(3)
    finder = RuleFinder(rules)
    assert finder.plain
    assert_same(finder.find(batch), find(batch.lists, batch.queries, batch.database, rules))


def test_quantiles_are_taken_where_the_rules_compare_them() -> None:
    batch = make_batch()
    assert RuleFinder(Rules(3)).calibrated(batch).calibration is None
    rules = Rules(3, bimodal="calibrated")
    finder = RuleFinder(rules).calibrated(batch)
    assert not finder.plain
    expected = find(batch.lists, batch.queries, batch.database, rules, ScoreCalibration.fit(batch.lists))
    assert_same(finder.find(batch), expected)


def test_a_scorer_orders_the_candidates() -> None:
    batch = make_batch()
    torch.manual_seed(0)
    scorer = new_scorer()
    upright = RuleFinder(Rules(1), scorer=scorer)
    turned = nn.Sequential(scorer[0], scorer[1], nn.Linear(32, 1))
    with torch.no_grad():
        for given, own in zip(turned[2].parameters(), scorer[2].parameters(), strict=True):
            given.copy_(-own)
    first, last = upright.find(batch), replace(upright, scorer=turned).find(batch)
    both = first.retrieved & last.retrieved
    assert both.any()
    assert (first.rows[both] != last.rows[both]).any()


class Counting:
    """A finder that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def find(self, batch: Batch) -> Selected:
        self.asked += 1
        return RuleFinder(Rules(2)).find(batch)


def test_a_batch_is_found_once() -> None:
    counting = Counting()
    finder = RememberingFinder(counting)
    one, other = make_batch(0), make_batch(1)
    found = [finder.find(batch) for batch in (one, other, one, one)]
    assert counting.asked == 2
    assert found[0] is found[2] is found[3]
    assert_same(found[1], RuleFinder(Rules(2)).find(other))
