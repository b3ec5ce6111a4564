"""A pool that grows after training: the same model, scored with more and more of it in the database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ramer.evaluation.pool import POOL, SHUFFLED_POOL
from ramer.inputs import OWN_KEYS, SHUFFLED
from ramer.methods.shared.contract import Method
from ramer.methods.shared.predicting import predict_rows
from ramer.seeding import generator
from ramer.training.labelled_rows import LabelledRows


def predict_by_pool(method: Method, test: LabelledRows, sizes: Sequence[int]) -> pd.DataFrame | None:
    """Predictions of test rows per size of the pool, with the database as it is and shuffled.

    Sizes are nested: a larger pool holds the smaller ones. What was trained stays as it is.

    Args:
        sizes: rows of the pool; those beyond it are left out, all of it is added.

    Returns:
        Rows of ``predictions.parquet`` with the columns ``pool`` and ``shuffled``; None of a method without keys of
        its own, or where no pool is in its database.
    """
    if OWN_KEYS not in method.reads:
        return None
    data = test.data
    pool = data.corpus.rows_in(data.replicate, "pool")
    pool = pool[data.database.available[pool].any(axis=1)]
    if not len(pool):
        return None
    order = generator(data.replicate.seed, "late pool", data.replicate.fold).permutation(pool)
    tables = []
    for size in sorted({s for s in sizes if s < len(pool)} | {len(pool)}):
        part = data.with_pool(np.sort(order[:size]))
        for shuffled in (False, True):
            rows = test.on(part, frozenset({SHUFFLED}) if shuffled else frozenset())
            tables.append(predict_rows(method, rows).assign(**{POOL: size, SHUFFLED_POOL: shuffled}))
    return pd.concat(tables, ignore_index=True)
