"""Files of results as a run reads them: mappings, numbers, histories; a fault names the file within the project."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from ramer.errors import StaleError
from ramer.files import read_json
from ramer.records import Record

RecordT = TypeVar("RecordT", bound=Record)


class ResultsError(StaleError):
    """A file that the pipeline should have written is missing or broken."""


@dataclass(frozen=True)
class Point:
    """One value of a metric at one epoch."""

    name: str
    step: int
    value: float


def read_record_of(kind: type[RecordT], path: Path, root: Path) -> RecordT:
    """A file of a kind."""
    try:
        return kind.read(path)
    except StaleError as error:
        raise ResultsError([fault.replace(f"{root}/", "", 1) for fault in error.faults], path) from None


def mean_history(folder: Path, section: str, root: Path) -> list[Point]:
    """Each column of a history as the mean over the replicates that reached the epoch, and how many did."""
    path = folder / "history.csv"
    if not path.is_file():
        return []
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:  # pandas' own parser errors are ValueErrors
        raise ResultsError(f"{path.relative_to(root)}: not a table: {error}", path) from None
    if not {"replicate", "epoch"} <= set(table.columns):
        expected = f"expected the columns replicate and epoch, got {list(table.columns)}"
        raise ResultsError(f"{path.relative_to(root)}: {expected}", path)
    if table.empty:
        return []
    grouped = table.groupby("epoch", sort=True)
    means = grouped.mean(numeric_only=True).assign(replicates=grouped["replicate"].nunique())
    return [
        Point(f"{section}/{column}", int(str(epoch)), float(value))
        for column in means.columns
        for epoch, value in means[column].items()
        if math.isfinite(value)
    ]


def read_mapping(path: Path, root: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (ValueError, OSError) as error:
        raise ResultsError(f"{path.relative_to(root)}: not valid JSON: {error}", path) from None
    if not isinstance(value, dict):
        raise ResultsError(f"{path.relative_to(root)}: expected a mapping, got {type(value).__name__}", path)
    return value


def numbers_of(values: Mapping[str, Any], path: Path, root: Path) -> dict[str, float]:
    """Numbers only; a null is a metric that is not defined, such as an F1 without rows."""
    wrong = [key for key, value in values.items() if value is not None and not isinstance(value, int | float)]
    if wrong:
        where = path.relative_to(root)
        raise ResultsError([f"{where}: {key}: expected a number, got {values[key]!r}" for key in wrong], path)
    return {key: float(value) for key, value in values.items() if value is not None}
