"""Scoring a trained method: what it costs."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.modalities import CONDITIONS
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.train import train
from ramer.project import Project
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
