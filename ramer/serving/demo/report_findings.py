"""What a project's report says of the model on the page: how it stands to others, its limits, how often sets held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ramer.errors import StaleError
from ramer.evaluation.model_cards import SET_COVERAGE, ModelCards
from ramer.project import Project
from ramer.training.costs import trained_digest

_COVERAGE = 0.9  # of the sets that the page shows, where no report has measured another
_OF_ANOTHER = "The report in this project is about other checkpoints than these: `dvc repro` brings it up to date."
_NONE = "No report lies beside this model; the one of the project that it comes from says how good it is, and on what."


@dataclass(frozen=True)
class Found:
    """Sentences, in which names stand between backticks, and shares.

    Attributes:
        advice: what to know before using the model. limits: of the figures in it.
        covered: by letters of what a clip holds: share of test rows whose set held the true class, with its interval.
        coverage: that the sets are made for.
    """

    advice: tuple[str, ...]
    limits: tuple[str, ...]
    covered: Mapping[str, tuple[float, float, float]]
    coverage: float = _COVERAGE


def read_found(project: Project, method: str) -> Found:
    """What the project's report found of the very checkpoints that lie there; a sentence where it found nothing."""
    if not project.cards.is_file():
        return Found((_NONE,), (), {})
    try:
        cards = ModelCards.read(project.cards)
    except StaleError as error:
        return Found(tuple(error.faults), (), {})
    card = cards.methods.get(method)
    digest = trained_digest(project.method(method))
    if card is None or not digest or card.trained != digest:
        return Found((_OF_ANOTHER,), (), {})
    covered = {s.condition: (s.value, s.low, s.high) for s in card.scores if s.metric == SET_COVERAGE}
    return Found(card.advice, cards.limits, covered, cards.coverage)
