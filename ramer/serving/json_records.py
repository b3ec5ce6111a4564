"""Records of clips in, one record of a prediction out for each: what a CSV and a JSON answer hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ramer.array_files import in_single
from ramer.config import one_line
from ramer.errors import RamerError
from ramer.modalities import LETTERS, MODALITIES

if TYPE_CHECKING:
    from ramer.serving.predictor import Prediction, Predictor

MOST_NAMED = 5  # faulty rows named per modality
_BOOLEANS = frozenset({bool, np.bool_})  # NumPy takes them for 0 and 1 beside a number


def prediction_csv(ids: list[str], prediction: Prediction) -> pd.DataFrame:
    """One row per clip: id, available (letters), predicted, method, ``p/<label>`` and, if asked for, set, answered."""
    table = _scores(prediction)
    if prediction.sets:
        table["set"] = ["|".join(names) for names in prediction.sets]
    table.insert(0, "id", ids)
    return table


def read_records(given: object) -> pd.DataFrame:
    """Clips as a table, from what MLflow makes of a request: a table, a record of columns, or a list of records.

    Raises:
        RamerError: anything else, a field that is no modality, or columns of different lengths.
    """
    if isinstance(given, pd.DataFrame):
        return given
    if isinstance(given, dict):
        _check_fields(given)
        columns = {str(n): list(c) if isinstance(c, list | tuple | np.ndarray) else [c] for n, c in given.items()}
        sizes = {name: len(cells) for name, cells in columns.items()}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise RamerError(f"expected columns of one length, got {told}")
        return pd.DataFrame(columns)
    if isinstance(given, list) and all(isinstance(record, dict) for record in given):
        # Before there is a table: one over the union of all names has as many cells as records times names.
        _check_fields(name for record in given for name in record)
        held = [m for m in MODALITIES if any(m in record for record in given)]
        cells = {m: pd.Series([record.get(m) for record in given], dtype=object) for m in held}
        return pd.DataFrame(cells, index=range(len(given)))
    raise RamerError(f"expected records of {', '.join(MODALITIES)}, got {type(given).__name__}")


def predict_table(
    predictor: Predictor,
    clips: pd.DataFrame,
    neighbours: bool = False,
    coverage: float | None = None,
    risk: float | None = None,
) -> pd.DataFrame:
    """Predictions of clips whose features are lists in the columns audio, video and text.

    Args:
        clips: a column that is not there, None and NaN are missing.
        neighbours: also answer with the clips that stood in.
        coverage, risk: as ``Predictor.predict``.

    Returns:
        One row per clip: available, missing (names), predicted, method, ``p/<label>`` and, if asked for, neighbours,
        set (names) and answered.

    Raises:
        RamerError: as ``Predictor.predict``, a field that is no modality, or what is no list of as many numbers as the
            model takes; field and row are named.

    Example:
        >>> from ramer import Predictor
        >>> predictor = Predictor.load(project)
        >>> clips = pd.DataFrame({"audio": [[0.1] * predictor.dims["audio"]]})
        >>> predict_table(predictor, clips)[["available", "missing"]].values.tolist()
        [['a', ['video', 'text']]]
    """
    prediction = predict_records(predictor, clips, neighbours, coverage, risk)
    table = _scores(prediction)
    table.insert(1, "missing", [list(prediction.missing(row)) for row in range(len(clips))])
    if neighbours:
        near: Any = [[asdict(neighbour) for neighbour in found] for found in prediction.neighbours]
        table["neighbours"] = near
    if coverage is not None:
        table["set"] = [list(names) for names in prediction.sets]
    return table


def predict_records(
    predictor: Predictor,
    clips: pd.DataFrame,
    neighbours: bool = False,
    coverage: float | None = None,
    risk: float | None = None,
) -> Prediction:
    """The prediction of such clips; one that holds nothing is a clip too.

    Raises:
        RamerError: as ``predict_table``.
    """
    faults = list(_unknown(clips))
    faults += [f"{name}: given more than once" for name in clips.columns[clips.columns.duplicated()]]
    if faults:
        raise RamerError(faults)
    features = {m: _column(clips[m], m, predictor.dims[m], faults) for m in MODALITIES if m in clips}
    if faults:
        raise RamerError(faults)
    if all(vectors is None for vectors in features.values()):  # no column at all is no fault here: a clip with nothing
        present = next(m for m in MODALITIES if predictor.dims[m])
        features[present] = np.full((len(clips), predictor.dims[present]), np.nan, dtype=np.float32)
    return predictor.predict(features, neighbours=neighbours, coverage=coverage, risk=risk)


def _check_fields(names: Iterable[object]) -> None:
    faults = list(_unknown(names))
    if faults:
        raise RamerError(faults)


def _unknown(names: Iterable[object]) -> Iterator[str]:
    """A fault for each of the first few names that are none of a modality."""
    known, told = ", ".join(MODALITIES), set[object]()
    for name in names:
        if name not in MODALITIES and name not in told:
            told.add(name)
            yield f"{one_line(name)}: no such field, expected {known}"
        if len(told) == MOST_NAMED:
            return


def _scores(prediction: Prediction) -> pd.DataFrame:
    letters = np.array(list(LETTERS.values()), dtype=object)
    available = ["".join(letters[held]) for held in prediction.available]
    table = pd.DataFrame({"available": available, "predicted": prediction.labels, "method": prediction.method})
    for i, name in enumerate(prediction.label_names):
        table[f"p/{name}"] = prediction.probabilities[:, i]
    if prediction.answered is not None:
        table["answered"] = prediction.answered
    return table


def _column(cells: pd.Series, modality: str, dim: int, faults: list[str]) -> np.ndarray | None:
    """float32 [n, dim], NaN rows where there is nothing; None if there is nothing at all."""
    vectors = np.full((len(cells), dim), np.nan, dtype=np.float32)
    held = 0
    wrong: list[str] = []
    for row, cell in enumerate(cells):
        given = _array(cell)
        if _is_missing(given):
            continue
        held += 1
        if given.shape != (dim,) or given.dtype.kind not in "fiu":
            wrong.append(f"{modality}: row {row}: expected {dim} numbers or null, got {_told(given)}")
        else:
            vectors[row] = in_single(given)  # what becomes infinite is refused by the model
    faults += wrong[:MOST_NAMED]
    return vectors if held else None


def _array(cell: Any) -> np.ndarray:
    """A cell as an array, of objects where it is no matrix of one kind."""
    if isinstance(cell, list | tuple) and not _BOOLEANS.isdisjoint(map(type, cell)):
        return np.empty(1, dtype=object)
    try:
        return np.asarray(cell)
    except (ValueError, TypeError, RecursionError):  # lists of different lengths, or too deep
        return np.empty(1, dtype=object)


def _told(given: np.ndarray) -> str:
    """What a cell is that is no vector of the right length, in a few words."""
    if given.dtype.kind not in "fiu":
        return "something that is no list of numbers"
    return f"{len(given)}" if given.ndim == 1 else f"numbers of shape {given.shape}"


def _is_missing(given: np.ndarray) -> bool:
    """None or NaN, as tables write what is not there."""
    if given.ndim:
        return False
    cell = given.item()
    return cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell)
