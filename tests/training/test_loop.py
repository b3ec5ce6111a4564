"""The budget of heads."""

from __future__ import annotations

import math

import pytest

from ramer.config import Training
from ramer.training.loop import LEAST_STEPS, rows_per_step


@pytest.mark.parametrize("rows", [1, 2, 5, 100, 200, 762, 763, 5000])
def test_an_epoch_on_few_rows_has_steps_enough(rows: int) -> None:
    size = rows_per_step(rows, Training(batch_size=128))
    steps = math.ceil(rows / size)
    assert 1 <= size <= 128
    assert steps >= min(rows, LEAST_STEPS - 1)
    assert rows < 763 or size == 128
