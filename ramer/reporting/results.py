"""Everything that a report is made of, read and checked before any of it is used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramer.errors import RamerError
from ramer.evaluation.metrics import COUNT_METRICS, METRICS, check_predictions
from ramer.files import read_json, read_table
from ramer.modalities import AVERAGE, CONDITIONS, MODALITIES

DESCRIPTION_KEYS = ("name", "type", "deployable", "retrieval", "validation_selection")


@dataclass(frozen=True)
class MethodResults:
    """One method's files under ``results/methods``.

    Attributes:
        description: ``method.json``. metrics: ``metrics.json``, NaN where a metric is not defined.
        predictions: ``predictions.parquet``. confusion: counts [true, predicted] per condition.
        history: ``history.csv`` of its training, empty where there is none.
    """

    description: dict[str, Any]
    metrics: dict[str, float]
    predictions: pd.DataFrame
    confusion: dict[str, np.ndarray]
    history: pd.DataFrame


@dataclass(frozen=True)
class Results:
    """All listed methods, the corpus they were scored on and how retrieval did there.

    Attributes:
        corpus: ``corpus.json``. groups: speaker, video or dialogue per id, None where unnamed.
        encoders: ``history.csv`` per modality that was pretrained.
        purity: ``diagnostics.json`` per modality that was searched.
    """

    corpus: dict[str, Any]
    groups: dict[str, str | None]
    methods: dict[str, MethodResults]
    encoders: dict[str, pd.DataFrame]
    purity: dict[str, dict[str, Any]]

    @property
    def label_names(self) -> list[str]:
        return list(self.corpus["label_names"])

    @property
    def descriptions(self) -> dict[str, dict[str, Any]]:
        return {name: m.description for name, m in self.methods.items()}


def scored_keys(scenarios: Iterable[str]) -> list[str]:
    """The keys ``<condition, avg6 or scenario>/<metric>`` that every method's ``metrics.json`` must hold."""
    keys = [f"{c}/{m}" for c in (*CONDITIONS, AVERAGE) for m in METRICS]
    return keys + [f"{s}/{m}" for s in scenarios for m in COUNT_METRICS]


def read_results(
    names: Iterable[str],
    results: Path,
    prepared: Path,
    neighbours: Path,
    encoders: Path,
    methods_models: Path,
    scenarios: Iterable[str] = (),
) -> Results:
    """Read the named methods' results and what surrounds them; other folders are never looked at.

    Args:
        scenarios: names of the ways of going missing at random that must have been scored.

    Raises:
        RamerError: a file is absent, torn or lacks what it must hold; one line per fault.
    """
    faults: list[str] = []
    corpus, groups = _read_corpus(prepared)
    keys = [f"{key}{s}" for key in scored_keys(scenarios) for s in ("", "_std")]
    methods = {}
    for name in names:
        try:
            methods[name] = _read_method(name, results / name, methods_models / name, list(corpus["label_names"]), keys)
        except RamerError as error:
            faults += error.faults
    if faults:
        raise RamerError(faults)
    histories = {m: _read_history(encoders / m / "history.csv", f"pretrain@{m}") for m in MODALITIES}
    return Results(
        corpus,
        groups,
        methods,
        {m: history for m, history in histories.items() if len(history)},
        {
            m: found
            for m in MODALITIES
            if (found := _read_optional(neighbours / m / "diagnostics.json", f"retrieve@{m}"))
        },
    )


def _read_corpus(prepared: Path) -> tuple[dict[str, Any], dict[str, str | None]]:
    corpus = _read_mapping(prepared / "corpus.json", "the stage prepare")
    absent = [key for key in ("name", "label_names") if key not in corpus]
    if absent:
        raise RamerError(f"{prepared / 'corpus.json'}: expected the keys {', '.join(absent)}")
    rows = _read_table(prepared / "rows.parquet", "the stage prepare")
    speakers = (None if pd.isna(s) else str(s) for s in rows["speaker"])
    return corpus, dict(zip(rows["id"].astype(str), speakers, strict=True))


def _read_method(name: str, folder: Path, trained: Path, label_names: list[str], keys: list[str]) -> MethodResults:
    stage = f"evaluate@{name}"
    description = _read_mapping(folder / "method.json", stage)
    raw = _read_mapping(folder / "metrics.json", stage)
    matrices = _read_mapping(folder / "confusion.json", stage)
    predictions = _read_table(folder / "predictions.parquet", stage)
    faults = [
        f"{folder / file}: expected the keys {_few(absent)}; rerun {stage}"
        for file, absent in (
            ("method.json", [k for k in DESCRIPTION_KEYS if k not in description]),
            ("metrics.json", [k for k in keys if k not in raw]),
            ("confusion.json", [c for c in CONDITIONS if c not in matrices]),
        )
        if absent
    ]
    if not faults and matrices.get("labels") != label_names:
        labels = ", ".join(label_names)
        faults.append(f"{folder / 'confusion.json'}: labels: expected the corpus' own, {labels}; rerun {stage}")
    if faults:
        raise RamerError(faults)
    check_predictions(predictions, label_names, str(folder / "predictions.parquet"))
    return MethodResults(
        description,
        {key: float("nan") if value is None else float(value) for key, value in raw.items()},
        predictions,
        {c: np.asarray(matrices[c], dtype=np.int64) for c in CONDITIONS},
        _read_history(trained / "history.csv", f"train@{name}"),
    )


def _read_mapping(path: Path, stage: str) -> dict[str, Any]:
    try:
        value = read_json(path)
    except FileNotFoundError:
        raise RamerError(f"{path}: no such file, expected the output of {stage}") from None
    except (OSError, ValueError) as error:
        raise RamerError(f"{path}: not valid JSON ({_one_line(error)}); rerun {stage}") from None
    if not isinstance(value, dict):
        raise RamerError(f"{path}: expected a mapping, got {type(value).__name__}; rerun {stage}")
    return value


def _read_optional(path: Path, stage: str) -> dict[str, Any]:
    return _read_mapping(path, stage) if path.exists() else {}


def _read_table(path: Path, stage: str) -> pd.DataFrame:
    try:
        return read_table(path)
    except FileNotFoundError:
        raise RamerError(f"{path}: no such file, expected the output of {stage}") from None
    except (OSError, ValueError) as error:  # a torn file is an ArrowInvalid, which is a ValueError
        raise RamerError(f"{path}: not a parquet table ({_one_line(error)}); rerun {stage}") from None


def _read_history(path: Path, stage: str) -> pd.DataFrame:
    """A training history; empty where the stage kept none, as nothing was trained by epochs."""
    if not path.exists():
        return pd.DataFrame({"replicate": [], "epoch": []})
    try:
        history = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise RamerError(f"{path}: not a table ({_one_line(error)}); rerun {stage}") from None
    absent = [c for c in ("replicate", "epoch") if c not in history.columns]
    if absent:
        raise RamerError(f"{path}: expected the columns {', '.join(absent)}; rerun {stage}")
    return history


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
