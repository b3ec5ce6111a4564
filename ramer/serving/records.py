"""Tables of clips in, tables of predictions out: what a CSV and a JSON answer hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ramer.errors import RamerError
from ramer.modalities import LETTERS, MODALITIES

if TYPE_CHECKING:
    from ramer.serving.predictor import Prediction, Predictor

MOST_NAMED = 5  # faulty rows named per modality


def prediction_csv(ids: list[str], prediction: Prediction) -> pd.DataFrame:
    """One row per clip: id, available (letters), predicted, ``p/<label>``."""
    table = _scores(prediction)
    table.insert(0, "id", ids)
    return table


def predict_table(predictor: Predictor, clips: pd.DataFrame, neighbours: bool = False) -> pd.DataFrame:
    """Predictions of clips whose features are lists in the columns audio, video and text.

    Args:
        clips: a column that is not there, None and NaN are missing.
        neighbours: also answer with the clips that stood in.

    Returns:
        One row per clip: available, missing (names), predicted, ``p/<label>`` and, if asked for, neighbours.

    Raises:
        RamerError: as ``Predictor.predict``, or a list of another length than the model's; the row is named.

    Example:
        >>> from ramer import Predictor
        >>> predictor = Predictor.load(project)
        >>> clips = pd.DataFrame({"audio": [[0.1] * predictor.dims["audio"]]})
        >>> predict_table(predictor, clips)[["available", "missing"]].values.tolist()
        [['a', ['video', 'text']]]
    """
    faults: list[str] = []
    features = {m: _column(clips[m], m, predictor.dims[m], faults) for m in MODALITIES if m in clips}
    faults += [
        f"{name}: no such modality, expected {', '.join(MODALITIES)}" for name in clips if name not in MODALITIES
    ]
    if faults:
        raise RamerError(faults)
    if all(vectors is None for vectors in features.values()):  # no column at all is no fault here: a clip with nothing
        present = next(m for m in MODALITIES if predictor.dims[m])
        features[present] = np.full((len(clips), predictor.dims[present]), np.nan, dtype=np.float32)
    prediction = predictor.predict(features, neighbours=neighbours)
    table = _scores(prediction)
    table.insert(1, "missing", [list(prediction.missing(row)) for row in range(len(clips))])
    if neighbours:
        near: Any = [[asdict(neighbour) for neighbour in found] for found in prediction.neighbours]
        table["neighbours"] = near
    return table


def _scores(prediction: Prediction) -> pd.DataFrame:
    letters = np.array(list(LETTERS.values()), dtype=object)
    available = ["".join(letters[held]) for held in prediction.available]
    table = pd.DataFrame({"available": available, "predicted": prediction.labels})
    for i, name in enumerate(prediction.label_names):
        table[f"p/{name}"] = prediction.probabilities[:, i]
    return table


def _column(cells: pd.Series, modality: str, dim: int, faults: list[str]) -> np.ndarray | None:
    """float32 [n, dim], NaN rows where there is nothing; None if there is nothing at all."""
    vectors = np.full((len(cells), dim), np.nan, dtype=np.float32)
    held = 0
    wrong: list[str] = []
    for row, cell in enumerate(cells):
        if _is_missing(cell):
            continue
        held += 1
        given = np.asarray(cell)
        if given.shape != (dim,) or given.dtype.kind not in "fiu":
            size = len(given) if given.ndim == 1 else f"shape {given.shape}"
            wrong.append(f"{modality}: row {row}: expected {dim} numbers or null, got {size}")
        else:
            with np.errstate(over="ignore"):  # what becomes infinite is refused by the model
                vectors[row] = given
    faults += wrong[:MOST_NAMED]
    return vectors if held else None


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell)
