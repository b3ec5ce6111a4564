"""The comparison as a table for papers: which methods, metrics and conditions, before it becomes text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramer.errors import RamerError
from ramer.evaluation.metrics import METRICS
from ramer.evaluation.predictions import RATIOS
from ramer.evaluation.scenarios import AREA
from ramer.modalities import AVERAGE, FULL_CONDITION, MISSING_CONDITIONS
from ramer.reporting.tables import METRIC, best_of, has_spread, p_text, points, signed

_HEADS = {AREA: "area"}


@dataclass(frozen=True)
class Choice:
    """What a table holds; an empty choice stands for what is shown by default.

    Attributes:
        methods: names, in the order of the lines; by default all, the best avg6 first.
        metrics: by default weighted F1.
        conditions: conditions, ``avg6``, scenarios, ``retained`` and ``equity``; by default all that compare methods.
    """

    methods: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One score.

    Attributes:
        mean: in points, empty where it is not defined.
        std: over seeds, empty where there is no spread or none is shown.
        best: whether no deployable method of the table is better.
        value, spread: the same as fractions, None where unknown.
    """

    mean: str
    std: str
    best: bool
    value: float | None
    spread: float | None


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
    """

    columns: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    compared: tuple[str, str] | None
    reference: str
    seeds: int

    @property
    def heads(self) -> list[str]:
        """Of each column; the metric is named where there are several."""
        several = len({metric for metric, _ in self.columns}) > 1
        return [f"{_HEADS.get(c, c)} {m}" if several else _HEADS.get(c, c) for m, c in self.columns]


def score_table(summary: Mapping[str, Any], choice: Choice = Choice()) -> ScoreTable:  # frozen
    """The chosen part of ``summary.json``.

    Raises:
        RamerError: an unknown method, metric or condition; one line per fault.
    """
    _check(summary, choice)
    held = summary["methods"]
    metrics = choice.metrics or (METRIC,)
    names = choice.methods or tuple(sorted(held, key=lambda n: -held[n][AVERAGE][metrics[0]]["mean"]))
    columns = tuple((m, c) for m in metrics for c in choice.conditions or _usual(summary) if c in _scored(summary, m))
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
    return ScoreTable(columns, tuple(lines), compared, summary["reference"], len(summary.get("seeds", ())))


def _usual(summary: Mapping[str, Any]) -> tuple[str, ...]:
    methods = summary["methods"].values()
    ratios = [r for r in RATIOS if all(r in m for m in methods)]  # not in tables of before they were kept
    extra = [AREA] if AREA in summary.get("scenarios", ()) else []
    return (AVERAGE, FULL_CONDITION, *extra, *MISSING_CONDITIONS, *ratios)


def _scored(summary: Mapping[str, Any], metric: str) -> list[str]:
    """Conditions, scenarios and ratios for which every method has the metric."""
    methods = list(summary["methods"].values())
    keys = [key for key in methods[0] if isinstance(methods[0][key], Mapping)]
    return [key for key in keys if all(metric in m.get(key, {}) for m in methods)]


def _check(summary: Mapping[str, Any], choice: Choice) -> None:
    conditions = sorted({c for m in METRICS for c in _scored(summary, m)})
    faults = [
        f"--{kind}: {name!r}: expected one of {', '.join(known)}"
        for kind, given, known in (
            ("methods", choice.methods, list(summary["methods"])),
            ("metrics", choice.metrics, list(METRICS)),
            ("conditions", choice.conditions, conditions),
        )
        for name in given
        if name not in known
    ]
    if faults:
        raise RamerError(faults)


def _cell(score: Mapping[str, float | None], condition: str, spread: bool, best: bool) -> Cell:
    mean, std = score["mean"], score["std"]
    if mean is None:
        return Cell("", "", False, None, None)
    shown = f"{100 * mean:.0f}" if condition in RATIOS else points(mean)
    known = spread and condition == AVERAGE and std is not None
    return Cell(shown, points(std) if known and std is not None else "", best, mean, std if spread else None)


def _against(comparison: Mapping[str, Any] | None) -> tuple[str, str, str, str] | None:
    if comparison is None:
        return None
    difference, low, high = (signed(comparison[key]) for key in ("difference", "low", "high"))
    return difference, low, high, p_text(comparison["p_holm"])


def split_names(given: str | None) -> tuple[str, ...]:
    """``a,b`` as names.

    Example:
        >>> split_names("avg6, avt")
        ('avg6', 'avt')
    """
    return tuple(part.strip() for part in (given or "").split(",") if part.strip())


def metric_names(table: ScoreTable) -> Sequence[str]:
    """The metrics of a table in words, each once."""
    shown = {"uar": "UAR", "ece": "ECE"}
    return [shown.get(m, m.replace("_", " ").replace("f1", "F1")) for m in dict.fromkeys(m for m, _ in table.columns)]
