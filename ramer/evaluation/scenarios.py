"""Modalities that go missing at random: scores at a rate of missingness, and the area under their curve.

A mask decides alone which of the seven conditions a row is scored under, so the scores at any rate follow from the
predictions under the seven: a row counts under each condition with that condition's probability. This is the limit of
infinitely many drawn masks; no draw adds noise, and all methods meet the same masks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ramer.config import Evaluate
from ramer.modalities import MODALITIES, condition_probabilities

AREA = "random_area"
POINT, IMBALANCED = "random_", "imbalanced_"


@dataclass(frozen=True)
class Scenario:
    """A way of going missing.

    Attributes:
        name: as in ``metrics.json``.
        conditions: probability of each condition at each of k settings, float64 [k, 7].
        weights: share of each setting in the score, float64 [k].
    """

    name: str
    conditions: np.ndarray
    weights: np.ndarray

    @property
    def on_curve(self) -> bool:
        """One rate alone, a point of the curve; the area stands for them all."""
        return self.name.startswith(POINT) and self.name != AREA

    def score(
        self,
        metric: Callable[..., np.ndarray],
        hits: Float[np.ndarray, "*more conditions classes"],
        predicted: Float[np.ndarray, "*more conditions classes"],
        support: Float[np.ndarray, "*more conditions classes"],
    ) -> Float[np.ndarray, "*more"]:
        """A metric of counts over rows that are spread over the conditions."""
        mixed = [np.einsum("kc,...cn->...kn", self.conditions, counts) for counts in (hits, predicted, support)]
        return np.asarray(metric(*mixed) @ self.weights)


def point_name(rate: float) -> str:
    return f"{POINT}{rate:g}"


def scenarios(config: Evaluate) -> list[Scenario]:
    """What ``evaluate.missing_rates`` and ``evaluate.imbalanced_rates`` ask for.

    One scenario per rate (``random_0.5``), the area under the curve over the rates (``random_area``), and one per
    entry of the imbalanced rates (``imbalanced_<name>``), each modality missing at a rate of its own. The area is the
    trapezoidal rule divided by the width, so that it reads as a mean score; one rate alone has none.

    Example:
        >>> [scenario.name for scenario in scenarios(Evaluate(missing_rates=(0.1, 0.5), imbalanced_rates={}))]
        ['random_0.1', 'random_0.5', 'random_area']
    """
    rates = sorted(config.missing_rates)
    conditions = np.array([condition_probabilities([rate] * len(MODALITIES)) for rate in rates])
    one = np.ones(1)
    found = [Scenario(point_name(rate), conditions[i : i + 1], one) for i, rate in enumerate(rates)]
    if len(rates) > 1:
        steps = np.diff(rates)
        weights = np.concatenate([steps, [0.0]]) + np.concatenate([[0.0], steps])
        found.append(Scenario(AREA, conditions, weights / weights.sum()))
    return found + [
        Scenario(f"{IMBALANCED}{name}", condition_probabilities(entry.values)[None], one)
        for name, entry in config.imbalanced_rates.items()
    ]
