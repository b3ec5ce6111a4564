"""How far what comes is from what a model was trained on."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping

LATEST = 1000  # clips that are compared
_LEAST = 50  # below so many, chance alone moves the index


class Drift:
    """The population stability index of the latest clips: the sum of (share - expected) * log(share / expected).

    Below 0.1 is usually read as no drift, above 0.25 as much (Siddiqi, "Credit Risk Scorecards", 2006).

    Args:
        expected: shares among training rows, by kind; without any there is no index.

    Example:
        >>> drift = Drift({"avt": 0.5, "a": 0.5})
        >>> drift.see(["avt", "a"] * 100)
        >>> round(drift.index(), 3)
        0.0
        >>> drift.see(["a"] * 1000)
        >>> drift.index() > 0.25
        True
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        self._expected = dict(expected)
        self._latest: deque[str] = deque(maxlen=LATEST)

    def see(self, kinds: Iterable[str]) -> None:
        """Clips of these kinds have come."""
        self._latest.extend(kinds)

    def index(self) -> float | None:
        """None before there are enough clips, or where training is not known."""
        n = len(self._latest)
        if not self._expected or n < _LEAST:
            return None
        counts = Counter(self._latest)
        kinds = sorted(self._expected.keys() | counts.keys())
        floor = 0.5 / n  # of a kind that is on one side alone
        pairs = [(max(counts[kind] / n, floor), max(self._expected.get(kind, 0.0), floor)) for kind in kinds]
        return sum((share - wanted) * math.log(share / wanted) for share, wanted in pairs)
