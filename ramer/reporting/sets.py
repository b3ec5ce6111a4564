"""Sets of classes for test rows, as their fold's validation rows give them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ramer.evaluation.conformal import judge
from ramer.evaluation.conformal_record import mean_over_seeds
from ramer.evaluation.predictions import PROBABILITY_PREFIX
from ramer.reporting.results import MethodResults


def judged_rows(
    method: MethodResults, held: Mapping[str, str], label_names: list[str], coverage: float
) -> pd.DataFrame | None:
    """One line per test row and condition: id, condition, size of the set, whether it holds the true class.

    Args:
        held: letters of what a row holds by nature, by id.

    Returns:
        None for a method that was scored before its validation rows were kept.
    """
    if method.conformal is None:
        return None
    means = mean_over_seeds(method.predictions, label_names)
    proba = means[[PROBABILITY_PREFIX + name for name in label_names]].to_numpy(dtype=np.float64)
    # What nature left of the condition decides which validation rows a row is like.
    left = [
        "".join(x for x in c if x in held[i]) for i, c in zip(means["id"].astype(str), means["condition"], strict=True)
    ]
    labels = pd.Index(label_names).get_indexer(pd.Index(means["label"]))
    sizes, covered = np.zeros(len(means), dtype=np.int64), np.zeros(len(means), dtype=bool)
    for fold, rows in means.groupby("fold").indices.items():
        found = judge(method.conformal.folds.get(str(fold), {}), proba[rows], [left[r] for r in rows], coverage)
        assert found.members is not None
        sizes[rows] = found.members.sum(axis=1)
        covered[rows] = found.members[np.arange(len(rows)), labels[rows]]
    return means[["id", "condition"]].assign(size=sizes, covered=covered)
