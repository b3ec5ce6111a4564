"""Groups of test rows that are resampled together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ramer.errors import RamerError
from ramer.evaluation.points import counted

FEWEST_CLUSTERS = 10


@dataclass(frozen=True)
class Clusters:
    """What is resampled.

    Attributes:
        of_row: cluster of each test row, by id.
        folds: fold of each cluster [clusters].
        unit: what a cluster is, in words.
        notes: what a reader must know about the choice.
        few: number and name of the groups that were too few to be resampled, so that rows are; None if enough.
    """

    of_row: dict[str, int]
    folds: np.ndarray
    unit: str
    notes: tuple[str, ...]
    few: tuple[int, str] | None = None

    @property
    def size(self) -> int:
        return len(self.folds)


def find_clusters(rows: pd.DataFrame, groups: Mapping[str, str | None], unit: str = "speaker") -> Clusters:
    """Group test rows into the clusters that are resampled.

    Args:
        rows: ``id`` and ``fold`` of the test rows, repeats allowed.
        groups: speaker, video or dialogue of an id; an id without one is a cluster of its own.
        unit: what a group is called.
    """
    rows = rows[["id", "fold"]].drop_duplicates().sort_values(["fold", "id"], ignore_index=True)
    if rows["id"].duplicated().any():
        twice = rows["id"][rows["id"].duplicated()].iloc[0]
        raise RamerError(f"predictions: {twice}: expected a test row in one fold only, got several")
    names = [groups.get(i) for i in rows["id"]]
    if all(pd.isna(n) for n in names):
        return _clusters(rows, [("row", i) for i in rows["id"]], "row", ())
    keys = [("row", i) if pd.isna(n) else ("group", str(n)) for i, n in zip(rows["id"], names, strict=True)]
    clusters = _clusters(rows, keys, unit, ())
    if clusters.size >= FEWEST_CLUSTERS:
        return clusters
    note = (
        f"The test set holds only {counted(clusters.size, unit)}. Fewer than {FEWEST_CLUSTERS} cannot be resampled, so "
        f"rows are: the intervals say nothing about new {unit}s and are too narrow."
    )
    drawn = _clusters(rows, [("row", i) for i in rows["id"]], "row", (note,))
    return replace(drawn, few=(clusters.size, unit))


def _clusters(rows: pd.DataFrame, keys: list[tuple[str, str]], unit: str, notes: tuple[str, ...]) -> Clusters:
    codes, _ = pd.factorize(
        pd.Series([f"{fold}/{kind}/{key}" for fold, (kind, key) in zip(rows["fold"], keys, strict=True)])
    )
    folds = rows["fold"].groupby(codes).first().to_numpy()
    if len(folds) > 1 and np.unique(folds, return_counts=True)[1].min() < 2:
        folds = np.zeros_like(folds)
        notes = (*notes, f"A fold tests a single {unit}, so {unit}s are resampled over all folds together.")
    return Clusters(dict(zip(rows["id"], codes.tolist(), strict=True)), folds, unit, notes)
