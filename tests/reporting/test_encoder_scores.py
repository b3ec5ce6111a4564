"""The table of encoders beside regressions, on a project that the stages made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from ramer.modalities import MODALITIES
from ramer.nn.residual import ResidualEncoder
from ramer.project import Project
from ramer.reporting.encoder_scores import read_encoder_scores
from ramer.training.checkpoints import load_encoder
from tests.support.tiny_workspace import ENCODER, build_workspace, tiny_config


def test_scores_are_those_of_the_encoders_and_of_the_lines_that_they_stand_on(tmp_path: Path) -> None:
    kinds = {"audio": "residual", "video": "transformer", "text": "residual"}
    encoders = {m: ENCODER | {"kind": kinds[m]} for m in MODALITIES}
    corpus = build_workspace(tiny_config({"prior": {"type": "prior"}}, pretrain=encoders), tmp_path).corpus
    found = {scores.modality: scores for scores in read_encoder_scores(Project(tmp_path))}
    assert {m: scores.kind for m, scores in found.items()} == kinds
    (replicate,) = corpus.replicates
    for i, m in enumerate(MODALITIES):
        encoder, _ = load_encoder(Project(tmp_path).encoder(m, replicate.name))
        for split, got in (("val", found[m].val), ("test", found[m].test)):
            rows = corpus.rows_in(replicate, split)
            rows = rows[corpus.available[rows, i]]
            x, labels = torch.from_numpy(corpus.standardised(m, replicate, rows)), corpus.labels(replicate)[rows]
            predicted = encoder(x).logits.argmax(dim=1)
            assert got == pytest.approx(f1_score(labels, predicted, average="weighted"))
        if isinstance(encoder, ResidualEncoder):
            line = (x @ encoder.line_weight + encoder.line_bias).argmax(dim=1)
            assert found[m].regression_test == pytest.approx(f1_score(labels, line, average="weighted"))
        else:
            assert found[m].regression_test is None
        assert np.isfinite(found[m].regression_val or np.nan)


def test_a_project_without_encoders_has_no_scores(tmp_path: Path) -> None:
    assert read_encoder_scores(Project(tmp_path)) == []
