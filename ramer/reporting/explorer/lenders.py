"""The clips that lent their states to each clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ramer.evaluation.metrics import condition_positions
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.reporting.explorer.arrays import numbers, packed
from ramer.reporting.explorer.shown_clips import Clips

MOST = 5  # lenders shown per modality
SCORE_STEPS = 100


def lenders(tables: Mapping[str, pd.DataFrame], rows: pd.DataFrame, clips: Clips) -> dict[str, Any]:
    """Per lending method the clips behind each stand-in.

    Args:
        tables: ``lent.parquet`` per method.

    Returns:
        ``ids``, ``groups`` and ``labels`` (per method) of all lenders, and per method ``rows`` (position in ``ids``,
        its last number for none) and ``scores`` int16 in hundredths, each [conditions, clips, 3, 5].
    """
    shown = {name: table[table["rank"] < MOST] for name, table in tables.items()}
    named = [table.loc[table["id"].astype(str).isin(clips.ids), "neighbour"].astype(str) for table in shown.values()]
    ids = pd.Index(sorted(set().union(*named)) if named else [])
    speakers = rows.set_index(rows["id"].astype(str))["speaker"].reindex(ids)
    return {
        "ids": list(ids),
        "groups": ["" if pd.isna(s) else str(s) for s in speakers],
        "most": MOST,
        "methods": {name: _of_method(table, ids, clips) for name, table in shown.items()},
    }


def _of_method(table: pd.DataFrame, ids: pd.Index, clips: Clips) -> dict[str, Any]:
    clip = pd.Index(clips.ids).get_indexer(pd.Index(table["id"].astype(str)))
    table, clip = table[clip >= 0], clip[clip >= 0]
    shape = (len(CONDITIONS), len(clips), len(MODALITIES), MOST)
    who, scores = np.full(shape, len(ids), dtype=np.int64), np.zeros(shape, dtype=np.int16)
    place = (
        condition_positions(table["condition"].to_numpy()),
        clip,
        pd.Index(MODALITIES).get_indexer(pd.Index(table["modality"])),
        table["rank"].to_numpy(dtype=np.int64),
    )
    who[place] = ids.get_indexer(pd.Index(table["neighbour"].astype(str)))
    hundredths = np.nan_to_num(table["score"].to_numpy(dtype=np.float64)) * SCORE_STEPS
    scores[place] = np.clip(np.round(hundredths), -32768, 32767)
    labels = table.drop_duplicates("neighbour").set_index("neighbour")["label"].to_dict()
    known = {str(k): str(v) for k, v in labels.items() if v}
    return {"rows": packed(numbers(who)), "scores": packed(scores), "labels": known}
