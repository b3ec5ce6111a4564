"""How scores differ from speaker to speaker."""

from __future__ import annotations

import pandas as pd

from ramer.modalities import MISSING_CONDITIONS
from ramer.reporting.results import Results


def accuracy_by_group(results: Results) -> pd.DataFrame:
    """Share of right predictions under the six missing conditions, all seeds: one line per named group, one column per
    method; empty where nobody is named.
    """
    columns = {}
    for name, method in results.methods.items():
        table = method.predictions
        table = table[table["condition"].isin(MISSING_CONDITIONS)]
        groups = table["id"].astype(str).map(results.groups)
        right = (table["label"] == table["predicted"]).astype(float)
        columns[name] = right.groupby(groups).mean()
    return pd.DataFrame(columns).sort_index()
