"""Predictions of labelled rows as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ramer.errors import ModelError
from ramer.methods.shared.contract import Method
from ramer.modalities import CONDITIONS
from ramer.training.labelled_rows import LabelledRows


def predict_rows(method: Method, test: LabelledRows) -> pd.DataFrame:
    """Predictions of a replicate's rows, one line per row and condition."""
    tables = [_prediction_table(test, c, method.predict_proba(test.under(c))) for c in CONDITIONS]
    return pd.concat(tables, ignore_index=True)


def _prediction_table(test: LabelledRows, condition: str, proba: np.ndarray) -> pd.DataFrame:
    """The columns of ``predictions.parquet``.

    Raises:
        ModelError: a probability is not finite or a row does not sum to one.
    """
    corpus, replicate = test.data.corpus, test.data.replicate
    if not np.isfinite(proba).all() or not np.allclose(proba.sum(axis=1), 1.0, atol=1e-4):
        raise ModelError(f"{replicate.name}, condition {condition}: predictions are not probabilities")
    names = np.array(corpus.label_names, dtype=object)
    columns = {
        "id": corpus.ids[test.rows],
        "replicate": replicate.name,
        "fold": replicate.fold,
        "seed": replicate.seed,
        "condition": condition,
        "label": names[test.labels],
        "predicted": names[proba.argmax(axis=1)],
    }
    columns |= {f"p/{name}": proba[:, i].astype(np.float32) for i, name in enumerate(corpus.label_names)}
    return pd.DataFrame(columns)
