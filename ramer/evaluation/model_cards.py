"""``cards.json``: what the report found of each method, for those who show it beside a model."""

from __future__ import annotations

from ramer.config import Section
from ramer.modalities import AVERAGE, FULL_CONDITION, MISSING_CONDITIONS
from ramer.records import Record

SHOWN_CONDITIONS = (AVERAGE, FULL_CONDITION, *MISSING_CONDITIONS)  # in the order in which people look
SET_COVERAGE = "set_coverage"  # a metric: share of test rows whose set of emotions held the true one


class Score(Section):
    """A score with its interval, as fractions."""

    metric: str
    condition: str
    value: float
    low: float
    high: float

    @property
    def ends(self) -> dict[str, float]:
        """The score and its interval by what follows a metric's name in MLflow."""
        return {"": self.value, "_low": self.low, "_high": self.high}


class Gap(Section):
    """A method's score minus the reference's, as fractions, with interval and two-sided p.

    Attributes:
        p_holm: p adjusted for the number of methods that were compared.
    """

    metric: str
    condition: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


class ModelCard(Section):
    """What was found of one method.

    Attributes:
        trained: digest of the ``method.json`` beside its checkpoints, empty where there is none: what was found of
            other checkpoints is not said of these.
        scores: by metric and condition; ``SET_COVERAGE`` is one of them.
        gaps: to the reference; none of the reference itself.
        advice: sentences, method names between backticks.
    """

    trained: str
    scores: tuple[Score, ...]
    gaps: tuple[Gap, ...]
    advice: tuple[str, ...]

    def score(self, metric: str, condition: str) -> Score | None:
        """A score by its names; None for one that was not measured."""
        return next((s for s in self.scores if (s.metric, s.condition) == (metric, condition)), None)


class ModelCards(Record):
    """``cards.json``.

    Attributes:
        confidence: of the intervals.
        coverage: that the sets were made for.
        reference: the method that the gaps are to.
        units: how many were drawn for the intervals. unit: what they are, such as ``speaker``.
        limits: sentences: what the figures do not say.
        methods: by name.
    """

    confidence: float
    coverage: float
    reference: str
    units: int
    unit: str
    limits: tuple[str, ...]
    methods: dict[str, ModelCard]
