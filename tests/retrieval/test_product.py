"""The blocked product against all products at once."""

from __future__ import annotations

import numpy as np
import pytest

from ramer.retrieval import product as product_module
from ramer.retrieval.product import best_products


def drawn(queries: int, keys: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(queries, 6)).astype(np.float32), rng.normal(size=(keys, 6)).astype(np.float32)


@pytest.mark.parametrize(("queries", "keys", "k"), [(1, 1, 1), (5, 40, 40), (23, 200, 7), (30, 64, 16), (3, 100, 50)])
def test_best_products_are_those_of_a_full_sort(
    queries: int, keys: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_module, "QUERIES", 7)
    monkeypatch.setattr(product_module, "KEYS", 16)
    asked, held = drawn(queries, keys)
    best = best_products(held, asked, k)
    every = asked @ held.T
    assert np.allclose(best.scores, -np.sort(-every, axis=1)[:, :k], atol=1e-6)
    assert np.allclose(np.take_along_axis(every, best.positions, axis=1), best.scores, atol=1e-6)
    assert all(len(set(line)) == k for line in best.positions.tolist())


@pytest.mark.parametrize("order", [1, -1])
def test_neither_rising_nor_falling_scores_are_lost(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_module, "KEYS", 8)
    held = np.arange(50, dtype=np.float32)[::order, None].copy()
    best = best_products(held, np.ones((2, 1), dtype=np.float32), 5)
    assert best.scores.tolist() == [[49, 48, 47, 46, 45]] * 2


def test_equal_scores_are_each_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_module, "KEYS", 8)
    best = best_products(np.ones((40, 3), dtype=np.float32), np.ones((4, 3), dtype=np.float32), 12)
    assert (best.scores == 3).all()
    assert all(len(set(line)) == 12 for line in best.positions.tolist())
