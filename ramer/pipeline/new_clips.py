"""A trained model on new labelled clips: the scores, the report and the explorer of a corpus that it never saw."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from ramer.config import Evaluate, Report, Retrieval
from ramer.data.corpus_record import CorpusRecord, FoldAndSeed
from ramer.evaluation.bootstrap import Bootstrap
from ramer.evaluation.conformal import patterns
from ramer.evaluation.conformal_record import CONFORMAL_FILE, ConformalScores
from ramer.evaluation.model_cards import Score
from ramer.evaluation.predictions import PROBABILITY_PREFIX, confusion_by_condition, score_predictions
from ramer.evaluation.scenarios import scenarios
from ramer.files import atomic_directory, sweep, write_json, write_table
from ramer.mlflow_address import names_version
from ramer.modalities import CONDITIONS, MODALITIES, condition_masks
from ramer.project import Project
from ramer.records import Record
from ramer.reporting.comparison import compare_methods
from ramer.reporting.limits import of_rows
from ramer.reporting.results import EvaluatedModel, ReportSettings
from ramer.serving.description import ModelDescription
from ramer.serving.labelled_clips import LabelledClips
from ramer.serving.model import ModelFiles
from ramer.serving.predictor import Predictor
from ramer.targets import holds_earlier, refuse_others, replacing
from ramer.training.method_record import METHOD_FILE, ScoredMethod, TrainedMethod

EVALUATION_FILE = "evaluation.json"
PRIOR = "prior"
METRICS = ("weighted_f1", "uar")


class Evaluation(Record):
    """``evaluation.json``: what was evaluated on what.

    Attributes:
        model: as it was named. method: of it. trained_on: digest of its corpus.
        clips: how many. source: where they lie. digest: of their ids, labels and features.
        mapping: of their labels to the model's. notes: what was left out.
        unit: what was resampled for the intervals.
        scores: by condition.
        files: all others of the evaluation, by their paths in its folder; None where an earlier version wrote it.
    """

    model: str
    method: str
    trained_on: str | None
    clips: int
    source: str
    digest: str
    mapping: dict[str, str]
    notes: tuple[str, ...]
    unit: str
    scores: tuple[Score, ...]
    files: tuple[str, ...] | None = None
    later: ClassVar[frozenset[str]] = frozenset({"format", "files"})


@dataclass(frozen=True)
class Asked:
    """What is evaluated: a model as it was named, and how its clips' labels were mapped."""

    model: str
    mapping: dict[str, str]


def evaluate_clips(files: ModelFiles, clips: LabelledClips, asked: Asked, out: Path) -> Evaluation:
    """Predict the clips under all conditions; write scores, report and explorer, all or nothing.

    The class frequencies of the training rows are scored beside the model: what it has to beat.

    Args:
        files: of the model. clips: with labels that it knows.
        out: folder to write; an evaluation that is there is replaced.

    Raises:
        RamerError: the clips do not fit the model, or ``out`` holds something that is no evaluation.
    """
    _check_replaced(out)
    predictor, trained = Predictor(files), TrainedMethod.read(files.heads / METHOD_FILE)
    about = trained.scored
    tables, methods = {about.name: _predict(predictor, clips)}, {about.name: about}
    if about.name != PRIOR:
        tables[PRIOR], methods[PRIOR] = _predict(predictor, clips, nothing=True), _prior()
    options = Report(reference=PRIOR)
    with atomic_directory(out) as folder:
        project = Project(folder)
        _write_corpus(project, clips, files.description)
        for name, table in tables.items():
            _write_results(project, methods[name], table, list(predictor.label_names))
        if files.conformal is not None:
            held = ConformalScores(trained=files.conformal.trained, folds={"0": files.conformal.pooled})
            held.write(project.method_results(about.name) / CONFORMAL_FILE)
        compare_methods(project, list(tables), _settings(files, trained, asked, options))
        evaluation = _evaluation(files.description, clips, asked, tables[about.name], options)
        written = tuple(sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))
        evaluation.model_copy(update={"files": written}).write(folder / EVALUATION_FILE)
    return evaluation


def _settings(files: ModelFiles, trained: TrainedMethod, asked: Asked, options: Report) -> ReportSettings:
    name = asked.model if names_version(asked.model) else Path(asked.model).resolve().name
    model = EvaluatedModel(trained.name, name, files.description.corpus.name, len(trained.replicates))
    return ReportSettings(Evaluate(), options, Retrieval(), trained.name, model)


def _check_replaced(out: Path) -> None:
    """Refuse a place that holds anything but an earlier evaluation, which would be lost.

    Raises:
        RamerError: one line, which names what is there.
    """
    if not holds_earlier(out, EVALUATION_FILE, "evaluation"):
        return
    sweep(out)
    with replacing(out):
        files = Evaluation.read(out / EVALUATION_FILE).files
    if files is None:  # it does not say which are its own; all below its folders count as such
        folders = (Project(out).prepared, Project(out).results)
        files = tuple(path.relative_to(out).as_posix() for folder in folders for path in folder.rglob("*"))
    refuse_others(out, {EVALUATION_FILE, *files}, "the evaluation")


def _evaluation(
    described: ModelDescription, clips: LabelledClips, asked: Asked, table: pd.DataFrame, options: Report
) -> Evaluation:
    groups = dict(zip(clips.ids, clips.speakers, strict=True))
    letters = dict(zip(clips.ids, patterns(np.stack(list(_held(clips).values()), axis=1)), strict=True))
    bootstrap = Bootstrap(
        {described.method: table},
        groups,
        described.label_names,
        draws=options.draws,
        confidence=options.confidence,
        seed=options.seed,
    )
    scores = tuple(
        Score(metric=m, condition=c, value=value, low=low, high=high)
        for m in METRICS
        for c, (value, low, high) in bootstrap.scores(described.method, m).items()
    )
    return Evaluation(
        model=asked.model,
        method=described.method,
        trained_on=described.corpus.digest,
        clips=len(clips.ids),
        source=str(clips.source),
        digest=_digest(clips),
        mapping=asked.mapping,
        notes=(*clips.notes, *of_rows(bootstrap.clusters, letters)),
        unit=bootstrap.clusters.unit,
        scores=scores,
    )


def _prior() -> ScoredMethod:
    return ScoredMethod(name=PRIOR, type=PRIOR, options={}, deployable=True, retrieval=False, validation_selection=0.0)


def _predict(predictor: Predictor, clips: LabelledClips, nothing: bool = False) -> pd.DataFrame:
    """The rows of ``predictions.parquet``, under each condition or as if every clip lacked everything."""
    tables = []
    for condition, mask in zip(CONDITIONS, condition_masks(), strict=True):
        features = {
            m: np.full((len(clips.ids), predictor.dims[m]), np.nan) if nothing or not kept or v is None else v
            for (m, v), kept in zip(((m, clips.features.get(m)) for m in MODALITIES), mask, strict=True)
            if predictor.dims[m]
        }
        said = predictor.predict(features)
        columns = {"id": clips.ids, "replicate": "fold0_seed0", "fold": 0, "seed": 0, "condition": condition}
        columns |= {"label": clips.labels, "predicted": said.labels}
        proba = {
            f"{PROBABILITY_PREFIX}{name}": said.probabilities[:, i].astype(np.float32)
            for i, name in enumerate(said.label_names)
        }
        tables.append(pd.DataFrame(columns | proba))
    return pd.concat(tables, ignore_index=True)


def _held(clips: LabelledClips) -> dict[str, np.ndarray]:
    """Which clips hold a modality, bool [n] each."""
    vectors = {m: clips.features.get(m) for m in MODALITIES}
    return {
        m: np.zeros(len(clips.ids), dtype=bool) if v is None else np.asarray(np.isfinite(v).all(axis=1))
        for m, v in vectors.items()
    }


def _write_corpus(project: Project, clips: LabelledClips, described: ModelDescription) -> None:
    """``corpus.json`` and ``rows.parquet`` of the clips, as ``prepare`` would write them."""
    project.prepared.mkdir(parents=True)
    held = _held(clips)
    rows = {"id": clips.ids, "speaker": clips.speakers, "label": clips.labels}
    write_table(project.prepared / "rows.parquet", pd.DataFrame(rows | {f"available_{m}": held[m] for m in MODALITIES}))
    counts = {"rows": len(clips.ids)} | {f"label/{n}": clips.labels.count(n) for n in described.label_names}
    lacking = {m: int((~held[m]).sum()) for m in MODALITIES}
    lacking["all"] = int((~np.stack(list(held.values()))).all(axis=0).sum())
    CorpusRecord(
        name=clips.source.stem,
        dims=described.dims,
        label_names=described.label_names,
        replicates=(FoldAndSeed(fold=0, seed=0),),
        group_name="speaker" if any(clips.speakers) else None,
        rows=len(clips.ids),
        counts={"fold0_seed0": {"test": counts}},
        naturally_missing={"fold0_seed0": {"test": lacking}},
        provenance={"kind": "new clips", "model_trained_on": described.corpus.name},
        notes=clips.notes,
        digest=_digest(clips),
    ).write(project.corpus)


def _write_results(project: Project, about: ScoredMethod, table: pd.DataFrame, labels: list[str]) -> None:
    folder, settings = project.method_results(about.name), Evaluate()
    folder.mkdir(parents=True)
    write_table(folder / "predictions.parquet", table)
    write_json(folder / "metrics.json", score_predictions(table, labels, settings.ece_bins, scenarios(settings)))
    write_json(folder / "confusion.json", confusion_by_condition(table, labels))
    write_json(folder / "retrieval.json", {"by_condition": {}})
    about.write(folder / METHOD_FILE)


def _digest(clips: LabelledClips) -> str:
    sha = hashlib.sha256("\0".join(f"{i}\t{n}" for i, n in zip(clips.ids, clips.labels, strict=True)).encode())
    for m in MODALITIES:
        vectors = clips.features.get(m)
        sha.update(b"none" if vectors is None else np.ascontiguousarray(vectors, dtype=np.float32).tobytes())
    return sha.hexdigest()
