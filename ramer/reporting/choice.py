"""Which methods, metrics and conditions a table for a paper holds, as ``ramer report`` is asked for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from ramer.config import repeated
from ramer.errors import RamerError
from ramer.evaluation.metrics import METRICS
from ramer.evaluation.scenarios import AREA
from ramer.reporting.tables import METRIC, metric_words

_HEADS = {AREA: "area"}
_CONDITIONS = {head: name for name, head in _HEADS.items()}


@dataclass(frozen=True)
class Choice:
    """What a table holds; an empty choice stands for what is shown by default.

    Attributes:
        methods: names, in the order of the lines; by default all, the best avg6 first.
        metrics: by default weighted F1.
        conditions: conditions, ``avg6``, scenarios (``random_area`` or, as its column is headed, ``area``),
            ``retained`` and ``equity``; by default all that compare methods.
    """

    methods: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


def condition_head(condition: str) -> str:
    """A condition as it heads its column.

    Example:
        >>> condition_head("random_area"), condition_head("avt")
        ('area', 'avt')
    """
    return _HEADS.get(condition, condition)


def checked(summary: Mapping[str, Any], choice: Choice) -> Choice:
    """The choice with every condition by its name in ``summary.json``.

    Raises:
        RamerError: a method, metric or condition is unknown or named twice, a condition is measured for none of the
            metrics or a metric for none of the conditions; one line per fault.
    """
    choice = replace(choice, conditions=tuple(_CONDITIONS.get(c, c) for c in choice.conditions))
    known = {m: scored(summary, m) for m in METRICS}
    listed = (
        ("methods", choice.methods, list(summary["methods"])),
        ("metrics", choice.metrics, [m for m, held in known.items() if held]),
        ("conditions", choice.conditions, sorted({c for held in known.values() for c in held})),
    )
    unknown = [
        f"--{kind}: {name!r}: expected one of {', '.join(names)}"
        for kind, given, names in listed
        for name in given
        if name not in names
    ]
    twice = [fault for kind, given, _ in listed for fault in repeated(given, f"--{kind}")]
    faults = [*unknown, *twice] or _apart(choice, known)
    if faults:
        raise RamerError(faults)
    return choice


def left_out(summary: Mapping[str, Any], choice: Choice) -> list[str]:
    """What was named and has no column, as other metrics or conditions have: a line for each metric.

    Raises:
        RamerError: as ``checked``.
    """
    choice = checked(summary, choice)
    absent: dict[str, list[str]] = {}
    for metric, condition in product(choice.metrics, choice.conditions):
        if condition not in scored(summary, metric):
            absent.setdefault(metric, []).append(condition)
    return [f"left out: {metric_words(m)} of {', '.join(held)}, which is not measured" for m, held in absent.items()]


def scored(summary: Mapping[str, Any], metric: str) -> list[str]:
    """Conditions, scenarios and ratios for which every method has the metric."""
    methods = list(summary["methods"].values())
    keys = [key for key in methods[0] if isinstance(methods[0][key], Mapping)]
    return [key for key in keys if all(metric in m.get(key, {}) for m in methods)]


def split_names(given: str | None) -> tuple[str, ...]:
    """``a,b`` as names.

    Example:
        >>> split_names("avg6, avt")
        ('avg6', 'avt')
    """
    return tuple(part.strip() for part in (given or "").split(",") if part.strip())


def _apart(choice: Choice, known: Mapping[str, list[str]]) -> list[str]:
    """Faults of conditions that no metric of the table has, else of metrics that no condition of it has."""
    metrics, conditions = choice.metrics or (METRIC,), choice.conditions
    faults = []
    for condition in conditions:
        if not any(condition in known[m] for m in metrics):
            of = ", ".join(m for m, held in known.items() if condition in held)
            faults.append(f"--conditions: {condition!r}: measured for {of}, not for {', '.join(metrics)} (--metrics)")
    for metric in () if faults or not conditions else choice.metrics:
        if not set(conditions) & set(known[metric]):
            has, given = ", ".join(known[metric]), ", ".join(conditions)
            faults.append(f"--metrics: {metric!r}: measured for {has}, not for {given} (--conditions)")
    return faults
