"""A few clips at once get what they get one replicate after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ramer import Predictor
from ramer.modalities import CONDITIONS
from ramer.retrieval.fetching import FEW
from ramer.serving.inference import PerReplicate, Stacked
from tests.support.served_project import METHODS, raw_features, rows_of


@pytest.mark.parametrize("method", ["ramer", "literal", "calibrated"])
def test_one_clip_gets_the_neighbours_that_it_gets_in_a_batch(served: Path, method: str) -> None:
    predictor = Predictor.load(served, method)
    for condition in CONDITIONS:
        features = raw_features(served, rows_of(served)[: 2 * FEW], condition)
        whole = predictor.predict(features, neighbours=True)
        for row in range(2 * FEW):
            one = predictor.predict({m: v[row] for m, v in features.items()}, neighbours=True)
            np.testing.assert_allclose(one.probabilities[0], whole.probabilities[row], atol=1e-6)
            near, expected = one.neighbours[0], whole.neighbours[row]
            assert [(n.target, n.id, n.label) for n in near] == [(n.target, n.id, n.label) for n in expected]
            np.testing.assert_allclose([n.score for n in near], [n.score for n in expected], atol=1e-5)


def test_single_clips_in_four_threads_get_what_they_get_alone(served: Path) -> None:
    predictor = Predictor.load(served)
    rows = rows_of(served)
    clips = [
        {m: v[row] for m, v in raw_features(served, rows, condition).items()}
        for row, condition in zip(range(len(rows)), list(CONDITIONS) * len(rows), strict=False)
    ]
    alone = [predictor.predict(clip, neighbours=True) for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda clip: predictor.predict(clip, neighbours=True), clips))
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.probabilities, two.probabilities)
        assert one.neighbours == two.neighbours


STACKED = {"ramer", "literal"}


@pytest.mark.parametrize("method", [name for name in METHODS if name != "oracle"])
def test_plain_frozen_heads_are_stacked_and_no_others(served: Path, method: str) -> None:
    inference = Predictor.load(served, method).inference
    assert isinstance(inference, Stacked if method in STACKED else PerReplicate)


@pytest.mark.parametrize("method", sorted(STACKED))
def test_both_ways_agree_on_single_clips(served: Path, method: str) -> None:
    predictor = Predictor.load(served, method)
    plain = PerReplicate(predictor.replicates)
    for condition in CONDITIONS:
        raw = predictor.vectors(raw_features(served, rows_of(served)[:1], condition))
        available = np.stack([np.isfinite(v).all(axis=1) for v in raw.values()], axis=1)
        one, other = (way.infer(raw, available, True) for way in (predictor.inference, plain))
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
        assert one.selected is not None
        assert other.selected is not None
        np.testing.assert_array_equal(one.selected.rows, other.selected.rows)
