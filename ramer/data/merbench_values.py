"""What a label in MERBench's files says: an emotion by name or number, a sentiment by its value."""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from ramer.config import Merbench
from ramer.errors import CorpusError

EMOTIONS: dict[str, tuple[str, ...]] = {
    "mer": ("neutral", "angry", "happy", "sad", "worried", "surprise"),
    "iemocap4": ("happy", "sad", "neutral", "angry"),
    "iemocap6": ("happy", "sad", "neutral", "angry", "excited", "frustrated"),
    "meld": ("anger", "joy", "sadness", "neutral", "disgust", "fear", "surprise"),
}
SENTIMENTS = {"sentiment": ("negative", "nonnegative"), "sentiment_nonzero": ("negative", "positive")}
_ABSENT = -10  # the benchmark's mark for what nobody rated
DROP = object()
OTHER = "other"  # a corpus of one's own


def label_reader(settings: Merbench) -> Callable[[dict[str, Any]], Any]:
    if settings.task != "emotion":
        negative, other = SENTIMENTS[settings.task]
        return lambda entry: _sentiment(entry.get("val"), negative, other, settings.task == "sentiment_nonzero")
    if settings.dataset == OTHER:
        return lambda entry: _own_name(entry.get("emo"))
    if settings.dataset not in EMOTIONS:
        tasks = " or ".join(SENTIMENTS)
        raise CorpusError(
            f"params.yaml: corpus.merbench.task: {settings.dataset} has no emotions, expected {tasks}, got emotion"
        )
    known = EMOTIONS[settings.dataset]
    return lambda entry: _emotion(entry.get("emo"), known)


def _emotion(value: Any, known: tuple[str, ...]) -> str | None:
    if value is None or value == _ABSENT or value == "":
        return None
    if isinstance(value, str):
        name = value.strip()
        if name in known:
            return name
        near = get_close_matches(name.casefold(), known, n=1)
        hint = f"; is it {near[0]!r}?" if near else ""
        raise ValueError(f"emo: {ascii(name)[:60]} is none of {', '.join(known)}{hint}")
    if not isinstance(value, int) or not 0 <= value < len(known):
        raise ValueError(f"emo: expected a name or 0 to {len(known) - 1}, got {_short(value)}")
    return known[value]


def _own_name(value: Any) -> str | None:
    if value is None or value == _ABSENT or value == "":
        return None
    if not isinstance(value, str | int):
        raise ValueError(f"emo: expected a name or a number, got {_short(value)}")
    return str(value).strip()


def _short(value: Any) -> str:
    return ascii(value)[:60]


def _sentiment(value: Any, negative: str, other: str, drop_zero: bool) -> Any:
    if value is None or value == _ABSENT:
        return None
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"val: expected a number, got {_short(value)}")
    if drop_zero and value == 0:
        return DROP
    return negative if value < 0 else other
