"""A pool that grows after training: scores over its size, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ramer.evaluation.bootstrap import Bootstrap
from ramer.evaluation.predictions import score_predictions
from ramer.modalities import AVERAGE, FULL_CONDITION

POOL_FILE = "pool.parquet"  # beside predictions.parquet
POOL, SHUFFLED_POOL = "pool", "shuffled"  # its columns beside those of predictions
SCORE = "weighted_f1"


def pool_curve(
    table: pd.DataFrame, groups: Mapping[str, str | None], label_names: Sequence[str], unit: str, **options: Any
) -> list[dict[str, Any]]:
    """Scores of one model per size of the pool.

    Args:
        table: as ``predict_by_pool`` gives it.
        groups, label_names, unit: as of ``Bootstrap``.
        options: draws, confidence and seed of the bootstrap.

    Returns:
        Per size ``pool``, ``avg6``, ``avt`` and ``shuffled`` (avg6 with the database shuffled), each with mean and std;
        and the differences of avg6 ``to_smallest`` and ``to_shuffled`` with ``low`` and ``high``. Where replicates'
        pools differ in size, it is the first one's that is named.
    """
    ranks = table.groupby("replicate")[POOL].rank(method="dense").astype(int)
    tables = {
        (rank, shuffled): table[(ranks == rank) & (table[SHUFFLED_POOL] == shuffled)]
        for rank in range(1, int(ranks.max()) + 1)
        for shuffled in (False, True)
    }
    named = {_name(*key): part for key, part in tables.items()}
    bootstrap = Bootstrap(named, groups, label_names, unit=unit, **options)
    asked = [(SCORE, AVERAGE)]
    against = {c.method: c for c in bootstrap.compare(_name(1, False), asked)}
    points = []
    for rank in sorted({rank for rank, _ in tables}):
        real, shuffled = (score_predictions(tables[rank, s], label_names, 2) for s in (False, True))
        (control,) = bootstrap.compare(_name(rank, True), asked, [_name(rank, False)])
        gain = against.get(_name(rank, False))
        points.append(
            {
                "pool": int(tables[rank, False][POOL].iloc[0]),
                "avg6": _score(real, AVERAGE),
                "avt": _score(real, FULL_CONDITION),
                "shuffled": _score(shuffled, AVERAGE),
                "to_smallest": None if gain is None else _difference(gain.difference, gain.low, gain.high),
                "to_shuffled": _difference(control.difference, control.low, control.high),
            }
        )
    return points


def _name(rank: int, shuffled: bool) -> str:
    return f"{rank}{' shuffled' * shuffled}"


def _score(scores: Mapping[str, float], condition: str) -> dict[str, float]:
    key = f"{condition}/{SCORE}"
    return {"mean": scores[key], "std": scores[f"{key}_std"]}


def _difference(difference: float, low: float, high: float) -> dict[str, float]:
    return {"difference": difference, "low": low, "high": high}
