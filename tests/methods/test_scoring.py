"""Scoring a trained method: what it costs."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.evaluation.lent import read_lent
from ramer.files import read_table
from ramer.modalities import CONDITIONS
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.train import train
from ramer.project import Project
from ramer.serving.explain import explain_clip
from ramer.training.replicate_data import ReplicateData
from tests.support.tiny_workspace import tiny_config


@pytest.mark.parametrize("options", [{"type": "ramer", "k": 3}, {"type": "zero_fill"}, {"type": "oracle"}])
def test_every_condition_is_put_together_once(
    options: dict[str, Any], workspace_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predictions and diagnostics look at the same batches."""
    config = tiny_config({"mine": options, "prior": {"type": "prior"}}, serve={"method": "prior"})
    project = Project(tmp_path / "project")
    shutil.copytree(workspace_root, project.root)
    train(config, project, "mine")
    built: Counter[str] = Counter()
    real = ReplicateData.batch

    def counting(self: ReplicateData, rows: np.ndarray, mask: np.ndarray, *others: Any) -> Any:
        if np.array_equal(rows, self.corpus.rows_in(self.replicate, "test")):
            built[str(np.broadcast_to(mask, 3).tolist())] += 1
        return real(self, rows, mask, *others)

    monkeypatch.setattr(ReplicateData, "batch", counting)
    evaluate(config, project, "mine")
    assert len(built) == len(CONDITIONS)
    complete = built.pop(str([True] * 3))  # what the oracle sees is this batch beside each of the others
    assert complete in (1, 1 + len(CONDITIONS))
    assert set(built.values()) == {1}


@pytest.mark.parametrize("database", ["real", "shuffled"])
def test_who_lent_is_written_down_as_an_explanation_says_it(
    database: str, workspace_root: Path, tmp_path: Path
) -> None:
    methods: dict[str, dict[str, Any]] = {
        "mine": {"type": "ramer", "k": 3, "database": database},
        "prior": {"type": "prior"},
    }
    config = tiny_config(methods, serve={"method": "prior"})
    project = Project(tmp_path / "project")
    shutil.copytree(workspace_root, project.root)
    project.params.write_text(json.dumps(config.model_dump(mode="json")), "utf-8")
    for name in methods:
        train(config, project, name)
        evaluate(config, project, name)
    assert read_lent(project.method_results("prior")) is None
    lent = read_lent(project.method_results("mine"))
    assert lent is not None
    tested = read_table(project.method_results("mine") / "predictions.parquet")["id"].unique()
    for condition in ("a", "vt", "avt"):
        for clip in tested[:6]:
            told = explain_clip(project.root, clip, condition, "mine")
            own = lent[(lent["id"] == clip) & (lent["condition"] == condition)]
            expected = [(n.target, n.id, n.label or "") for n in told.neighbours if n.target not in told.available]
            assert list(zip(own["modality"], own["neighbour"], own["label"], strict=True)) == expected
    assert set(lent.loc[lent["condition"] == "a", "modality"]) == {"video", "text"}
