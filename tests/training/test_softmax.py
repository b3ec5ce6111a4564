"""Softmax without SciPy, to its bits: what was trained with SciPy's stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from ramer.training.softmax import log_softmax, softmax


@pytest.mark.parametrize("shape", [(1, 2), (7, 3), (500, 6), (3, 300)])
@pytest.mark.parametrize("size", [1.0, 30.0, 800.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bits_are_those_of_scipy(shape: tuple[int, int], size: float, dtype: type[np.floating]) -> None:
    rng = np.random.default_rng(0)
    finite = (size * rng.normal(size=shape)).astype(dtype)
    some = np.where(rng.random(shape) < 0.3, np.float32(-np.inf), finite)
    some[:, 0] = 1.0
    for values in (finite, some, np.asfortranarray(some)):
        for ours, theirs in ((softmax, special.softmax), (log_softmax, special.log_softmax)):
            expected = theirs(values, axis=1)
            np.testing.assert_array_equal(ours(values), expected)
            assert ours(values).dtype == expected.dtype
