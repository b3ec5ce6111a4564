"""Temperature scaling recovers a known temperature, keeps the predicted class and lowers the calibration error."""

from __future__ import annotations

import numpy as np

from ramer.evaluation.metrics import ece
from ramer.training.temperature import TEMPERATURES, fit_temperatures, pattern_codes, scale


def simulate(temperature: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from true probabilities, and probabilities that are sharper by ``temperature``."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.ones(4), size=n)
    labels = (true.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return scale(true, np.full(n, 1 / temperature)), labels


def test_a_known_temperature_is_found_per_set_of_modalities() -> None:
    sharp, labels = simulate(3.0)
    right, same_labels = simulate(1.0)
    codes = np.repeat([1, 6], len(labels))
    found = fit_temperatures(np.concatenate([sharp, right]), np.concatenate([labels, same_labels]), codes)
    step = TEMPERATURES[1] / TEMPERATURES[0]
    assert 3.0 / step**2 < found[1] < 3.0 * step**2
    assert 1.0 / step**2 < found[6] < 1.0 * step**2


def test_scaling_keeps_the_class_and_lowers_the_calibration_error() -> None:
    sharp, labels = simulate(3.0)
    codes = np.zeros(len(labels), dtype=np.int64)
    calibrated = scale(sharp, fit_temperatures(sharp, labels, codes)[codes])
    predicted = sharp.argmax(axis=1)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), predicted)
    assert ece(labels, predicted, calibrated, 15) < ece(labels, predicted, sharp, 15) / 3


def test_a_rare_set_of_modalities_takes_the_common_temperature() -> None:
    sharp, labels = simulate(3.0)
    codes = np.zeros(len(labels), dtype=np.int64)
    codes[:5] = 3
    found = fit_temperatures(sharp, labels, codes)
    assert found[3] == found[7]


def test_patterns_are_numbered_by_what_is_held() -> None:
    available = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]], dtype=bool)
    assert pattern_codes(available).tolist() == [4, 2, 1, 7, 0]
