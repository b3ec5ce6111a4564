"""Sets of classes that hold the true one as often as asked, and silence where too many answers would be wrong.

Split conformal prediction on validation rows, with one threshold for each set of available modalities: Sadinle, Lei and
Wasserman, "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", JASA 2019, within groups as in Vovk,
"Conditional validity of inductive conformal predictors", 2012. Silence: Geifman and El-Yaniv, "Selective Classification
for Deep Neural Networks", 2017.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ramer.errors import RamerError
from ramer.evaluation.conformal_record import PatternScores
from ramer.modalities import LETTERS

SURE = 0.9  # probability with which the share of wrong answers stays below the risk that was named
_SHARES = 10  # thresholds that are tried: those that answer a tenth, two tenths, ... of the validation rows
_TOLERANCE = 1e-5  # the same probability, computed for one clip or in a batch


@dataclass(frozen=True)
class Judged:
    """What may be said of n clips beside their most probable class.

    Attributes:
        members: bool [n, classes], the classes of each set; None where no coverage was asked for.
        answered: bool [n], whether the most probable class is said; None where no risk was named.
        notes: for which sets of modalities the validation rows do not suffice, a line each.
    """

    members: np.ndarray | None
    answered: np.ndarray | None
    notes: tuple[str, ...]


def patterns(available: Bool[np.ndarray, "n modalities"]) -> list[str]:
    """The letters of what each row holds.

    Example:
        >>> patterns(np.array([[True, False, True], [False, False, False]]))
        ['at', '']
    """
    letters = np.array(list(LETTERS.values()), dtype=object)
    return ["".join(letters[held]) for held in available]


def judge(
    scores: Mapping[str, PatternScores],
    probabilities: Float[np.ndarray, "n classes"],
    held: list[str],
    coverage: float | None = None,
    risk: float | None = None,
) -> Judged:
    """Sets that hold the true class of a share ``coverage`` of clips, and which clips are answered at ``risk``.

    A set of modalities without enough validation rows gets all classes and no answer, and a note says so; so does a
    clip that holds nothing, without a note.

    Args:
        scores: of validation rows, by what they hold.
        held: letters of what each clip holds [n].
        coverage: between 0 and 1; of many clips like the validation rows, not of one clip.
        risk: largest share of wrong answers among those given.

    Raises:
        RamerError: coverage or risk is not between 0 and 1.
    """
    for name, share in (("coverage", coverage), ("risk", risk)):
        if share is not None and not 0.0 < share < 1.0:
            raise RamerError(f"{name}: expected a share between 0 and 1, got {share:g}")
    members, answered, notes = None, None, []
    found = sorted(set(held), key=lambda pattern: (len(pattern), pattern))
    places = np.array([found.index(pattern) for pattern in held], dtype=np.int64)
    if coverage is not None:
        least = np.array([least_probability(_truth(scores, pattern), coverage) for pattern in found])
        members = in_set(probabilities, least[places])
        notes += [
            _too_few(scores, pattern, coverage) for pattern, p in zip(found, least, strict=True) if pattern and p == 0
        ]
    if risk is not None:
        sure = np.array([least_confidence(scores.get(pattern), risk) for pattern in found])
        answered = np.asarray(probabilities.max(axis=1, initial=0.0) >= sure[places] - _TOLERANCE)
        notes += [
            f"{pattern}: no confidence at which at most {risk:g} of the answers would be wrong: none is given"
            for pattern, p in zip(found, sure, strict=True)
            if pattern and not math.isfinite(p)
        ]
    return Judged(members, answered, tuple(notes))


def in_set(
    probabilities: Float[np.ndarray, "n classes"], least: Float[np.ndarray, " n"]
) -> Bool[np.ndarray, "n classes"]:
    """Classes of at least a probability, and always the most probable one."""
    members = probabilities >= least[:, None] - _TOLERANCE
    if members.size:
        members[np.arange(len(members)), probabilities.argmax(axis=1)] = True
    return members


def least_probability(truth: Float[np.ndarray, " rows"], coverage: float) -> float:
    """The probability from which on a class belongs to the set; 0, all classes, where the rows are too few.

    Args:
        truth: probability of the true class of each validation row.

    Example:
        >>> truth = np.linspace(0.1, 0.9, 9)
        >>> round(least_probability(truth, 0.8), 2), least_probability(truth, 0.95)
        (0.2, 0.0)
    """
    rank = math.ceil((len(truth) + 1) * coverage - 1e-9)  # one row more than there are: the new one
    return float(np.sort(truth)[::-1][rank - 1]) if rank <= len(truth) else 0.0


def rows_needed(coverage: float) -> int:
    """The fewest validation rows from which a set smaller than all classes may follow.

    Example:
        >>> rows_needed(0.9), rows_needed(0.95)
        (9, 19)
    """
    return math.ceil(coverage / (1.0 - coverage) - 1e-9)


def least_confidence(scores: PatternScores | None, risk: float) -> float:
    """The confidence from which on an answer is given; infinite where none can be.

    The lowest of ten thresholds above which the share of wrong answers is below ``risk`` with a probability of 0.9, by
    its exact binomial bound, each of the ten tested at a tenth of the remaining 0.1.
    """
    if scores is None or not scores.truth:
        return math.inf
    confidence, right = np.array(scores.confidence), np.array(scores.right)
    order = np.argsort(-confidence, kind="stable")
    lowest = math.inf
    for share in range(1, _SHARES + 1):
        edge = confidence[order[math.ceil(len(order) * share / _SHARES) - 1]]
        said = confidence >= edge
        if risk_bound(int((said & ~right).sum()), int(said.sum()), (1.0 - SURE) / _SHARES) <= risk:
            lowest = min(lowest, float(edge))
    return lowest


def risk_bound(wrong: int, answers: int, doubt: float) -> float:
    """The largest share of wrong answers under which so few are wrong with probability ``doubt`` (Clopper, Pearson).

    Example:
        >>> round(risk_bound(0, 100, 0.05), 4)
        0.0295
    """
    if wrong >= answers:
        return 1.0
    chosen = np.arange(wrong + 1)
    ways = [math.lgamma(answers + 1) - math.lgamma(k + 1) - math.lgamma(answers - k + 1) for k in chosen]
    low, high = wrong / answers, 1.0
    for _ in range(50):
        p = (low + high) / 2
        chance = np.exp(np.array(ways) + chosen * math.log(p) + (answers - chosen) * math.log1p(-p)).sum()
        low, high = (p, high) if chance > doubt else (low, p)
    return high


def _truth(scores: Mapping[str, PatternScores], pattern: str) -> np.ndarray:
    return np.array(scores[pattern].truth if pattern in scores else (), dtype=np.float64)


def _too_few(scores: Mapping[str, PatternScores], pattern: str, coverage: float) -> str:
    rows = len(_truth(scores, pattern))
    return (
        f"{pattern}: {rows} validation rows, expected {rows_needed(coverage)} for {coverage:g}: sets hold all classes"
    )
