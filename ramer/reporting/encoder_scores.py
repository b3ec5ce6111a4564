"""How good each modality's encoder is beside the logistic regression on the same vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ramer.array_files import read_tensors
from ramer.data.prepared import PreparedCorpus, Replicate, Scaler
from ramer.evaluation.metrics import weighted_f1
from ramer.modalities import MODALITIES
from ramer.project import Project
from ramer.retrieval.states import STATES_FILE, StatesTable
from ramer.training.encoder_record import ENCODER_FILE, EncoderRecord


@dataclass(frozen=True)
class EncoderScores:
    """Weighted F1 of one modality alone, mean over replicates; None where it is not known.

    Attributes:
        modality: which.
        kind: of its encoders.
        val, test: of the encoders.
        regression_val, regression_test: of the regressions; test only where the encoder holds one.
        learnt_nothing: of how many replicates the regression itself was kept.
        replicates: how many there are.
    """

    modality: str
    kind: str
    val: float
    test: float | None
    regression_val: float | None
    regression_test: float | None
    learnt_nothing: int
    replicates: int


def read_encoder_scores(project: Project) -> list[EncoderScores]:
    """Of every modality that has encoders. Test rows are scored for the report alone, nothing is chosen by them.

    Raises:
        StaleError: a file is torn, or does not fit the others.
    """
    paths = {m: project.encoders(m) / ENCODER_FILE for m in MODALITIES}
    records = {m: EncoderRecord.read(path) for m, path in paths.items() if path.exists()}
    corpus = PreparedCorpus.open(project.prepared) if records else None
    return [_scores(project, corpus, record) for record in records.values() if corpus is not None and record.replicates]


def _scores(project: Project, corpus: PreparedCorpus, record: EncoderRecord) -> EncoderScores:
    entries = list(record.replicates.values())
    tested = [r for r in corpus.replicates if r.name in record.replicates]
    known = [entry.regression.val_weighted_f1 for entry in entries if entry.regression is not None]
    return EncoderScores(
        modality=record.modality,
        kind=record.kind,
        val=float(np.mean([entry.val_weighted_f1 for entry in entries])),
        test=_mean(_of_states(project, corpus, record.modality, tested)),
        regression_val=_mean(known),
        regression_test=_mean(_of_lines(project, corpus, record, tested)),
        learnt_nothing=sum(entry.epoch == 0 for entry in entries),
        replicates=len(entries),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _rows(corpus: PreparedCorpus, modality: str, replicate: Replicate) -> np.ndarray:
    rows = corpus.rows_in(replicate, "test")
    return rows[corpus.available[rows, MODALITIES.index(modality)]]


def _of_states(project: Project, corpus: PreparedCorpus, modality: str, replicates: Sequence[Replicate]) -> list[float]:
    if not (project.states(modality) / STATES_FILE).exists():
        return []
    table = StatesTable.open(project.states(modality), corpus)
    scores = []
    for replicate in replicates:
        rows = _rows(corpus, modality, replicate)
        predicted = np.asarray(table.posteriors[replicate.index][rows]).argmax(axis=1)
        scores.append(weighted_f1(corpus.labels(replicate)[rows], predicted))
    return scores


def _of_lines(
    project: Project, corpus: PreparedCorpus, record: EncoderRecord, replicates: Sequence[Replicate]
) -> list[float]:
    if record.kind != "residual":
        return []
    scores = []
    for replicate in replicates:
        tensors, _ = read_tensors(project.encoder(record.modality, replicate.name))
        scaler = Scaler(tensors["scaler.mean"], tensors["scaler.std"])
        rows = _rows(corpus, record.modality, replicate)
        x = scaler.apply(corpus.features[record.modality][rows])
        predicted = (x @ tensors["line_weight"] + tensors["line_bias"]).argmax(axis=1)
        scores.append(weighted_f1(corpus.labels(replicate)[rows], predicted))
    return scores
