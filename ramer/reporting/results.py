"""Everything that a report is made of, read and checked before any of it is used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramer.config import Evaluate, Report, Retrieval
from ramer.data.corpus_record import CorpusRecord
from ramer.errors import RamerError, StaleError, raise_if_scarce
from ramer.evaluation.conformal import patterns
from ramer.evaluation.conformal_record import CONFORMAL_FILE, ConformalScores
from ramer.evaluation.count_metrics import COUNT_METRICS
from ramer.evaluation.metrics import METRICS
from ramer.evaluation.pool import POOL_FILE
from ramer.evaluation.predictions import check_predictions
from ramer.files import read_json, read_table
from ramer.modalities import AVERAGE, CONDITIONS, MODALITIES
from ramer.project import Project
from ramer.reporting.encoder_scores import EncoderScores, read_encoder_scores
from ramer.training.method_record import METHOD_FILE, ScoredMethod


@dataclass(frozen=True)
class EvaluatedModel:
    """The one trained model that a report is of.

    Attributes:
        method: its name among the results.
        name: as it was asked for: a folder, or an address of the registry.
        trained_on: name of its corpus.
        replicates: whose mean answer it gives.
    """

    method: str
    name: str
    trained_on: str
    replicates: int


@dataclass(frozen=True)
class ReportSettings:
    """The sections of the parameters that a report follows.

    Attributes:
        evaluate: which rates were scored.
        report: reference, draws and confidence.
        retrieval: how neighbours were found, which the page says.
        served: ``serve.method``.
        evaluated: the model that was scored on new clips; None where methods were trained and are compared.
    """

    evaluate: Evaluate
    report: Report
    retrieval: Retrieval
    served: str
    evaluated: EvaluatedModel | None = None


@dataclass(frozen=True)
class MethodResults:
    """One method's results.

    Attributes:
        description: ``method.json``.
        metrics: ``metrics.json``, NaN where a metric is not defined.
        predictions: ``predictions.parquet``.
        confusion: counts [true, predicted] per condition.
        history: ``history.csv`` of its training, empty where there is none.
        pool: predictions by the size of the pool, None where none were made.
        conformal: ``conformal.json``, None of a method that was scored before there was one.
    """

    description: ScoredMethod
    metrics: dict[str, float]
    predictions: pd.DataFrame
    confusion: dict[str, np.ndarray]
    history: pd.DataFrame
    pool: pd.DataFrame | None = None
    conformal: ConformalScores | None = None


@dataclass(frozen=True)
class Results:
    """All listed methods, the corpus they were scored on and how retrieval did there.

    Attributes:
        corpus: ``corpus.json``.
        groups: speaker, video or dialogue per id, None where unnamed.
        encoders: ``history.csv`` per modality that was pretrained.
        purity: ``diagnostics.json`` per modality that was searched.
        held: letters of what a row holds by nature, per id.
        encoder_scores: of every modality's encoders, beside those of logistic regressions.
    """

    corpus: CorpusRecord
    groups: dict[str, str | None]
    methods: dict[str, MethodResults]
    encoders: dict[str, pd.DataFrame]
    purity: dict[str, dict[str, Any]]
    held: dict[str, str]
    encoder_scores: list[EncoderScores] = field(default_factory=list)

    @property
    def label_names(self) -> list[str]:
        return list(self.corpus.label_names)

    @property
    def seeds(self) -> list[int]:
        """Of all replicates."""
        return self._numbers("seed")

    @property
    def folds(self) -> list[int]:
        """Whose test rows were scored."""
        return self._numbers("fold")

    def _numbers(self, column: str) -> list[int]:
        return sorted({int(n) for m in self.methods.values() for n in m.predictions[column].unique()})

    @property
    def descriptions(self) -> dict[str, ScoredMethod]:
        return {name: m.description for name, m in self.methods.items()}


def scored_keys(scenarios: Iterable[str]) -> list[str]:
    """The keys ``<condition, avg6 or scenario>/<metric>`` that every method's ``metrics.json`` must hold."""
    keys = [f"{c}/{m}" for c in (*CONDITIONS, AVERAGE) for m in METRICS]
    return keys + [f"{s}/{m}" for s in scenarios for m in COUNT_METRICS]


def read_results(project: Project, names: Iterable[str], scenarios: Iterable[str] = ()) -> Results:
    """Read the named methods' results and what surrounds them; other folders are never looked at.

    Args:
        project: with the results of the methods and all that they came from.
        names: of the methods.
        scenarios: names of the ways of going missing at random that must have been scored.

    Raises:
        StaleError: a file is absent, torn or lacks what it must hold; one line per fault.
    """
    faults: list[RamerError] = []
    corpus, groups, held = _read_corpus(project)
    keys = [f"{key}{s}" for key in scored_keys(scenarios) for s in ("", "_std")]
    methods = {}
    for name in names:
        try:
            methods[name] = _read_method(project, name, list(corpus.label_names), keys)
        except RamerError as error:
            faults.append(error)
    if faults:
        raise StaleError.of(faults)
    histories = {m: _read_history(project.encoders(m)) for m in MODALITIES}
    diagnostics = {m: project.neighbours(m) / "diagnostics.json" for m in MODALITIES}
    return Results(
        corpus,
        groups,
        methods,
        {m: history for m, history in histories.items() if len(history)},
        {m: _read_mapping(path) for m, path in diagnostics.items() if path.exists()},
        held,
        read_encoder_scores(project),
    )


def _read_corpus(project: Project) -> tuple[CorpusRecord, dict[str, str | None], dict[str, str]]:
    corpus = CorpusRecord.read(project.corpus)
    rows = _read_table(project.prepared / "rows.parquet")
    speakers = (None if pd.isna(s) else str(s) for s in rows["speaker"])
    named = [f"available_{m}" for m in MODALITIES]
    held = patterns(rows.reindex(columns=named, fill_value=True).to_numpy(dtype=bool))
    ids = rows["id"].astype(str)
    return corpus, dict(zip(ids, speakers, strict=True)), dict(zip(ids, held, strict=True))


def _read_method(project: Project, name: str, label_names: list[str], keys: list[str]) -> MethodResults:
    folder = project.method_results(name)
    description = ScoredMethod.read(folder / METHOD_FILE)
    raw = _read_mapping(folder / "metrics.json")
    matrices = _read_mapping(folder / "confusion.json")
    predictions = _read_table(folder / "predictions.parquet")
    faults = [
        f"{folder / file}: expected the keys {_few(absent)}"
        for file, absent in (
            ("metrics.json", [k for k in keys if k not in raw]),
            ("confusion.json", [c for c in CONDITIONS if c not in matrices]),
        )
        if absent
    ]
    if not faults and matrices.get("labels") != label_names:
        faults.append(f"{folder / 'confusion.json'}: labels: expected the corpus' own, {', '.join(label_names)}")
    if faults:
        raise StaleError(faults, folder)
    check_predictions(predictions, label_names, str(folder / "predictions.parquet"))
    return MethodResults(
        description,
        {key: float("nan") if value is None else float(value) for key, value in raw.items()},
        predictions,
        {c: np.asarray(matrices[c], dtype=np.int64) for c in CONDITIONS},
        _read_history(project.method(name)),
        _read_table(folder / POOL_FILE) if (folder / POOL_FILE).exists() else None,
        ConformalScores.read_verified(folder / CONFORMAL_FILE) if (folder / CONFORMAL_FILE).exists() else None,
    )


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except FileNotFoundError:
        raise StaleError(f"{path}: no such file", path) from None
    except (OSError, ValueError) as error:
        raise_if_scarce(error)
        raise StaleError(f"{path}: not valid JSON ({_one_line(error)})", path) from None
    if not isinstance(value, dict):
        raise StaleError(f"{path}: expected a mapping, got {type(value).__name__}", path)
    return value


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return read_table(path)
    except FileNotFoundError:
        raise StaleError(f"{path}: no such file", path) from None
    except (OSError, ValueError) as error:  # a torn file is an ArrowInvalid, which is a ValueError
        raise_if_scarce(error)
        raise StaleError(f"{path}: not a parquet table ({_one_line(error)})", path) from None


def _read_history(folder: Path) -> pd.DataFrame:
    """A training history; empty where none was kept, as nothing was trained by epochs."""
    path = folder / "history.csv"
    if not path.exists():
        return pd.DataFrame({"replicate": [], "epoch": []})
    try:
        history = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise_if_scarce(error)
        raise StaleError(f"{path}: not a table ({_one_line(error)})", path) from None
    absent = [c for c in ("replicate", "epoch") if c not in history.columns]
    if absent:
        raise StaleError(f"{path}: expected the columns {', '.join(absent)}", path)
    return history


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
