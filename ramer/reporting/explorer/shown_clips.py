"""The clips that the explorer shows, and what is known of each without asking a method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ramer.evaluation.clusters import Clusters
from ramer.modalities import MODALITIES
from ramer.seeding import generator

HELD, MISSING = "held", "missing"
REASONS = (HELD, MISSING, "no vector", "all zeros")


@dataclass(frozen=True)
class Clips:
    """Test rows, in the order of their ids.

    Attributes:
        ids: str [clips].
        total: test rows of which these are all or a sample.
        labels: class number [clips].
        folds: of each clip [clips].
        groups: number of the speaker, video or dialogue in ``group_names``, -1 where unnamed [clips].
        clusters: what is drawn together in the bootstrap [clips].
        reasons: position in ``REASONS`` per modality, uint8 [clips, 3].
    """

    ids: np.ndarray
    total: int
    labels: np.ndarray
    folds: np.ndarray
    groups: np.ndarray
    group_names: list[str]
    clusters: np.ndarray
    reasons: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def choose_clips(
    predictions: pd.DataFrame, rows: pd.DataFrame, label_names: list[str], clusters: Clusters, most: int
) -> Clips:
    """All test rows, or ``most`` of them drawn with a fixed seed.

    Args:
        predictions: of any method; all have the same rows.
        rows: ``rows.parquet`` of the prepared corpus.
    """
    tested = predictions[["id", "fold", "label"]].drop_duplicates("id").sort_values("id", ignore_index=True)
    total = len(tested)
    if total > most:
        drawn = np.sort(generator(0, "explorer").permutation(total)[:most])
        tested = tested.iloc[drawn].reset_index(drop=True)
    known = rows.set_index(rows["id"].astype(str)).reindex(tested["id"].astype(str))
    codes, names = pd.factorize(known["speaker"], sort=True)
    return Clips(
        ids=tested["id"].astype(str).to_numpy(dtype=object),
        total=total,
        labels=pd.Index(label_names).get_indexer(pd.Index(tested["label"])),
        folds=tested["fold"].to_numpy(dtype=np.int64),
        groups=np.asarray(codes, dtype=np.int64),
        group_names=[str(name) for name in names],
        clusters=tested["id"].map(clusters.of_row).to_numpy(dtype=np.int64),
        reasons=_reasons(known),
    )


def _reasons(rows: pd.DataFrame) -> np.ndarray:
    """Why a clip lacks a modality by nature, as far as ``prepare`` wrote it down."""
    reasons = np.full((len(rows), len(MODALITIES)), REASONS.index(HELD), dtype=np.uint8)
    for column, modality in enumerate(MODALITIES):
        if f"available_{modality}" in rows:
            lacking = ~rows[f"available_{modality}"].to_numpy(dtype=bool)
            reasons[lacking, column] = REASONS.index(MISSING)
            if f"zeros_{modality}" in rows:
                zeros = rows[f"zeros_{modality}"].to_numpy(dtype=bool)
                reasons[lacking, column] = np.where(zeros[lacking], 3, 2)
    return reasons
