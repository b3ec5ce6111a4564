"""Which clips lend their states to test rows, for those who look at single clips later."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ramer.evaluation.lent import COLUMNS
from ramer.methods.shared.contract import Method
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.training.labelled_rows import LabelledRows


def lent_rows(method: Method, test: LabelledRows) -> pd.DataFrame:
    """One line per test row, condition, missing modality and rank: the clip that lent, its score and its label.

    Of a shuffled database the clip is the one whose contents were handed out. A label is named only where training may
    read it.
    """
    tables = [_under(condition, method, test) for condition in CONDITIONS]
    return pd.concat(tables, ignore_index=True)


def _under(condition: str, method: Method, test: LabelledRows) -> pd.DataFrame:
    batch, corpus = test.under(condition), test.data.corpus
    selected = method.neighbours_of(batch)
    if selected is None:
        return pd.DataFrame({name: [] for name in COLUMNS})
    row, target, rank = np.nonzero((selected.rows >= 0) & ~batch.available[:, :, None])
    lenders = selected.rows[row, target, rank]
    names = np.array([*corpus.label_names, ""], dtype=object)
    return pd.DataFrame(
        {
            "id": corpus.ids[test.rows][row],
            "condition": condition,
            "modality": np.array(MODALITIES, dtype=object)[target],
            "rank": rank.astype(np.int32),
            "neighbour": corpus.ids[lenders],
            "score": selected.scores[row, target, rank].astype(np.float32),
            "label": names[batch.database.labels[lenders]],
        }
    )
