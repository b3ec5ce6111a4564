"""A pool that grows after training: scores over its size, with intervals."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ramer.evaluation.bootstrap import Bootstrap
from ramer.evaluation.predictions import score_predictions
from ramer.modalities import AVERAGE, FULL_CONDITION

log = logging.getLogger(__name__)

POOL_FILE = "pool.parquet"  # beside predictions.parquet
POOL, SHUFFLED_POOL = "pool", "shuffled"  # its columns beside those of predictions
WHOLE = "all"  # of the pool, however large it is
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
        Per size, ascending and all of the pool last, ``pool`` (a number of rows, or the word ``all``), ``rows`` (of the
        pool, mean over the replicates), ``avg6``, ``avt`` and ``shuffled`` (avg6 with the database shuffled), each with
        mean and std; and the differences of avg6 ``to_smallest`` and ``to_shuffled`` with ``low`` and ``high``. Folds'
        pools differ in size: a number that is not every replicate's is left out, and said in a warning.
    """
    wholes = table.groupby("replicate")[POOL].transform("max")
    rows_of = {size: table[POOL] == size for size in _common_sizes(table)} | {WHOLE: table[POOL] == wholes}
    tables = {
        (size, shuffled): table[rows & (table[SHUFFLED_POOL] == shuffled)]
        for size, rows in rows_of.items()
        for shuffled in (False, True)
    }
    named = {_name(*key): part for key, part in tables.items()}
    bootstrap = Bootstrap(named, groups, label_names, unit=unit, **options)
    asked = [(SCORE, AVERAGE)]
    against = {c.method: c for c in bootstrap.compare(_name(next(iter(rows_of)), False), asked)}
    points = []
    for size in rows_of:
        real, shuffled = (score_predictions(tables[size, s], label_names, 2) for s in (False, True))
        (control,) = bootstrap.compare(_name(size, True), asked, [_name(size, False)])
        gain = against.get(_name(size, False))
        points.append(
            {
                "pool": size,
                "rows": round(float(tables[size, False].groupby("replicate")[POOL].first().mean()), 1),
                "avg6": _score(real, AVERAGE),
                "avt": _score(real, FULL_CONDITION),
                "shuffled": _score(shuffled, AVERAGE),
                "to_smallest": None if gain is None else _difference(gain.difference, gain.low, gain.high),
                "to_shuffled": _difference(control.difference, control.low, control.high),
            }
        )
    return points


def _common_sizes(table: pd.DataFrame) -> list[int]:
    """Sizes, smaller than some pool, that every replicate has."""
    held = [set(part) for _, part in table.groupby("replicate")[POOL]]
    wholes, common = [max(sizes) for sizes in held], set.intersection(*held)
    asked = {size for sizes in held for size in sizes - {max(sizes)}}
    if asked - common:
        log.warning(
            "warning: pools of %d to %d rows: size %s of evaluate.pool_sizes is not in every fold's, and left out",
            min(wholes), max(wholes), ", ".join(map(str, sorted(asked - common))),
        )  # fmt: skip
    return sorted(size for size in common if any(size < whole for whole in wholes))


def _name(size: int | str, shuffled: bool) -> str:
    return f"{size}{' shuffled' * shuffled}"


def _score(scores: Mapping[str, float], condition: str) -> dict[str, float]:
    key = f"{condition}/{SCORE}"
    return {"mean": scores[key], "std": scores[f"{key}_std"]}


def _difference(difference: float, low: float, high: float) -> dict[str, float]:
    return {"difference": difference, "low": low, "high": high}
