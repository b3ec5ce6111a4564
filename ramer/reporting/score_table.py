"""The comparison as a table for papers: which methods, metrics and conditions, before it becomes text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ramer.evaluation.points import points, signed
from ramer.evaluation.predictions import RATIOS
from ramer.evaluation.scenarios import AREA
from ramer.modalities import AVERAGE, FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.choice import Choice, checked, condition_head, scored
from ramer.reporting.tables import (
    LOWER_IS_BETTER,
    METRIC,
    best_of,
    has_spread,
    interval_words,
    metric_words,
    p_text,
)


@dataclass(frozen=True)
class Cell:
    """One score.

    Attributes:
        mean: in points, empty where it is not defined.
        std: over seeds, empty where there is no spread or none is shown.
        best: whether no deployable method of the table is better.
        value, spread: the same as fractions, None where unknown.
        interval: of the value, low and high, None where none was drawn.
    """

    mean: str
    std: str
    best: bool
    value: float | None
    spread: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Line:
    """One method.

    Attributes:
        against: difference to the reference, its interval (low, high) and p in words; None for the reference and where
            none was compared.
    """

    name: str
    deployable: bool
    cells: tuple[Cell, ...]
    against: tuple[str, str, str, str] | None


@dataclass(frozen=True)
class ScoreTable:
    """Lines of equal length.

    Attributes:
        columns: metric and condition of each cell.
        compared: metric and condition of the difference to the reference, None without one.
        reference: the method that others are compared with.
        seeds: their number, 0 where it is not known.
        interval: that of the difference, in words.
    """

    columns: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    compared: tuple[str, str] | None
    reference: str
    seeds: int
    interval: str

    @property
    def metrics(self) -> list[str]:
        """The metrics of the columns in words, each once."""
        return [metric_words(m) for m in dict.fromkeys(m for m, _ in self.columns)]

    @property
    def heads(self) -> list[str]:
        """Of each column; the metric is named where there are several, or no difference says it."""
        named = len(self.metrics) > 1 or self.compared is None
        return [_head(*column) if named else condition_head(column[1]) for column in self.columns]

    @property
    def compared_head(self) -> str:
        """Condition and metric of the difference to the reference, empty without one."""
        return _head(*self.compared) if self.compared else ""


def score_table(summary: Mapping[str, Any], choice: Choice) -> ScoreTable:
    """The chosen part of ``summary.json``.

    Raises:
        RamerError: the choice is none that ``checked`` takes; one line per fault.
    """
    choice = checked(summary, choice)
    held = summary["methods"]
    metrics = choice.metrics or (METRIC,)
    names = choice.methods or _best_first(held, metrics[0])
    columns = tuple((m, c) for m in metrics for c in choice.conditions or _usual(summary) if c in scored(summary, m))
    best = {m: best_of(summary, [c for k, c in columns if k == m and c not in RATIOS], m, names) for m in metrics}
    found = {(c["metric"], c["condition"], c["method"]): c for c in summary["comparisons"]}
    families = {key[:2] for key in found}
    compared = next((column for column in [(metrics[0], AVERAGE), *columns] if column in families), None)
    if compared is not None and compared not in columns:
        compared = next((column for column in columns if column in families), None)
    spread = has_spread(summary)
    lines = [
        Line(
            name,
            held[name]["deployable"],
            tuple(_cell(held[name][c][m], c, spread, name in best[m].get(c, ())) for m, c in columns),
            _against(found.get((*compared, name))) if compared else None,
        )
        for name in names
    ]
    seeds, interval = len(summary.get("seeds", ())), interval_words(summary)
    return ScoreTable(columns, tuple(lines), compared, summary["reference"], seeds, interval)


def _head(metric: str, condition: str) -> str:
    return f"{condition_head(condition)} {metric_words(metric)}"


def _best_first(held: Mapping[str, Any], metric: str) -> tuple[str, ...]:
    sign = 1 if metric in LOWER_IS_BETTER else -1
    return tuple(sorted(held, key=lambda n: sign * held[n][AVERAGE][metric]["mean"]))


def _usual(summary: Mapping[str, Any]) -> tuple[str, ...]:
    methods = summary["methods"].values()
    ratios = [r for r in RATIOS if all(r in m for m in methods)]  # not in tables of before they were kept
    extra = [AREA] if AREA in summary.get("scenarios", ()) else []
    return (AVERAGE, FULL_CONDITION, *extra, *MISSING_CONDITIONS, *ratios)


def _cell(score: Mapping[str, float | None], condition: str, spread: bool, best: bool) -> Cell:
    mean, std = score["mean"], score["std"] if spread else None
    if mean is None:
        return Cell("", "", False, None, None, None)
    low, high = score.get("low"), score.get("high")
    interval = None if low is None or high is None else (low, high)
    shown = points(std) if condition == AVERAGE and std is not None else ""
    return Cell(points(mean), shown, best, mean, std, interval)


def _against(comparison: Mapping[str, Any] | None) -> tuple[str, str, str, str] | None:
    if comparison is None:
        return None
    difference, low, high = (signed(comparison[key]) for key in ("difference", "low", "high"))
    return difference, low, high, p_text(comparison["p_holm"])
