"""A table of predictions and what follows from it: the keys of ``metrics.json`` and of ``confusion.json``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ramer.errors import RamerError
from ramer.evaluation.count_metrics import COUNT_METRICS, class_counts
from ramer.evaluation.metrics import METRICS, SELECTION_METRIC, Scored, avg6, confusion, equity, f1_per_class, retained
from ramer.evaluation.scenarios import Scenario
from ramer.modalities import AVERAGE, CONDITIONS

PROBABILITY_PREFIX = "p/"
RATIOS = {"retained": retained, "equity": equity}  # of the selection metric's values under the seven conditions


def score_predictions(
    table: pd.DataFrame, label_names: Sequence[str], ece_bins: int, scenarios: Sequence[Scenario] = ()
) -> dict[str, float]:
    """The content of ``metrics.json``: ``<condition or avg6 or scenario>/<metric>`` and ``.../<metric>_std``.

    Per seed a metric is taken over all out-of-fold rows of that seed; then mean and spread over seeds
    (ddof 1; 0 for one seed). ``avg6``, ``retained`` and ``equity`` are formed per seed. A scenario has the metrics that
    follow from counts.

    Args:
        table: rows of ``predictions.parquet`` (id, replicate, fold, seed, condition, label, predicted, p/<label>...).

    Raises:
        RamerError: a column is absent, a name unknown, a probability not finite, or a condition has no rows in a seed.
    """
    check_predictions(table, label_names)
    per_seed = [_score_seed(rows, label_names, ece_bins, scenarios) for _, rows in table.groupby("seed", sort=True)]
    scores: dict[str, float] = {}
    for key in per_seed[0]:
        values = np.array([scored[key] for scored in per_seed])
        scores[key] = float(values.mean())
        scores[f"{key}_std"] = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return dict(sorted(scores.items()))


def confusion_by_condition(table: pd.DataFrame, label_names: Sequence[str]) -> dict[str, list]:
    """The content of ``confusion.json``: counts [true][predicted] per condition summed over seeds, and ``labels``."""
    check_predictions(table, label_names)
    matrices: dict[str, list] = {"labels": list(label_names)}
    for condition, labels, predicted, _ in _by_condition(table, label_names):
        matrices[condition] = confusion(labels, predicted, len(label_names)).tolist()
    return matrices


def check_predictions(table: pd.DataFrame, label_names: Sequence[str], source: str = "predictions") -> None:
    """Refuse a predictions table that cannot be scored; one line per fault, ``source`` names the file."""
    probabilities = [PROBABILITY_PREFIX + name for name in label_names]
    wanted = ["id", "fold", "seed", "condition", "label", "predicted", *probabilities]
    absent = [name for name in wanted if name not in table.columns]
    if absent:
        raise RamerError(
            f"{source}: expected the columns {', '.join(absent)}, got {', '.join(map(str, table.columns))}"
        )
    if table.empty:
        raise RamerError(f"{source}: expected test rows, got none")
    faults = []
    for column, allowed in (("condition", list(CONDITIONS)), ("label", label_names), ("predicted", label_names)):
        wrong = ~table[column].isin(list(allowed)).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            shown = f"row {row}: {column}: expected one of {', '.join(allowed)}, got {table[column].iloc[row]!r}"
            faults.append(f"{source}: {shown}")
    finite = np.isfinite(table[probabilities].to_numpy(dtype=np.float64)).all(axis=1)
    if not finite.all():
        faults.append(
            f"{source}: row {int((~finite).argmax())}: expected finite probabilities, got a NaN or an infinity"
        )
    held = table.groupby("seed")["condition"].nunique()
    if not faults and (held < len(CONDITIONS)).any():
        faults.append(f"{source}: seed {held.idxmin()}: expected rows under all seven conditions, got {held.min()}")
    if faults:
        raise RamerError(faults)


def _score_seed(
    rows: pd.DataFrame, label_names: Sequence[str], ece_bins: int, scenarios: Sequence[Scenario]
) -> dict[str, float]:
    by_metric: dict[str, dict[str, float]] = {}
    counts = []
    for condition, labels, predicted, probabilities in _by_condition(rows, label_names):
        scored = Scored(labels, predicted, probabilities, ece_bins)
        values = {name: metric(scored) for name, metric in METRICS.items()}
        for name, score in zip(label_names, f1_per_class(labels, predicted, len(label_names)), strict=True):
            values[f"f1_{name}"] = float(score)
        for metric, value in values.items():
            by_metric.setdefault(metric, {})[condition] = value
        counts.append(class_counts(labels, predicted, len(label_names)))
    scores = {f"{c}/{metric}": value for metric, values in by_metric.items() for c, value in values.items()}
    scores |= {f"{AVERAGE}/{metric}": avg6(values) for metric, values in by_metric.items()}
    scores |= {f"{name}/{SELECTION_METRIC}": ratio(by_metric[SELECTION_METRIC]) for name, ratio in RATIOS.items()}
    tables = [np.stack(parts) for parts in zip(*counts, strict=True)]
    for scenario in scenarios:
        scores |= {f"{scenario.name}/{m}": float(scenario.score(f, *tables)) for m, f in COUNT_METRICS.items()}
    return scores


def _by_condition(
    table: pd.DataFrame, label_names: Sequence[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    index = pd.Index(list(label_names))
    columns = [PROBABILITY_PREFIX + name for name in label_names]
    for condition in CONDITIONS:
        rows = table[table["condition"].to_numpy() == condition]
        labels, predicted = (index.get_indexer(pd.Index(rows[c])) for c in ("label", "predicted"))
        yield condition, labels, predicted, rows[columns].to_numpy(dtype=np.float64)
