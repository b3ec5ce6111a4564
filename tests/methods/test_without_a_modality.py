"""Every way of ``ramer`` through train and evaluate on a corpus that has no text, with cross-fitted states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.files import read_json, read_table
from ramer.pipeline.evaluate import evaluate_method
from ramer.pipeline.train import train_method
from ramer.training.workspace import Workspace
from tests.methods.conftest import build_workspace, tiny_config

METHODS: dict[str, dict[str, Any]] = {
    "attention": {"type": "ramer", "aggregate": "attention"},
    "rerank": {"type": "ramer", "rerank": "learned"},
    "features": {"type": "ramer", "retrieve": "features"},
    "finetune": {"type": "ramer", "encoder": "finetune"},
    "rebuilt": {"type": "ramer", "encoder": "finetune", "rebuild_every": 1},
    "shuffled": {"type": "ramer", "database": "shuffled"},
    "label_knn": {"type": "label_knn", "k": 8},
}


@pytest.fixture(scope="module")
def without_text(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Workspace]:
    root = tmp_path_factory.mktemp("without_text")
    rng = np.random.default_rng(0)
    label = np.arange(160) % 3
    np.savez(
        root / "corpus.npz",
        ids=np.array([f"clip.{i}" for i in range(160)]),
        split=np.array(["train"] * 100 + ["val"] * 30 + ["test"] * 30),
        speaker=np.array([f"s{i // 10}" for i in range(160)]),
        label=label,
        label_names=np.array(["calm", "glad", "cross"]),
        A=(rng.normal(size=(160, 5)) + label[:, None]).astype(np.float32),
        V=(rng.normal(size=(160, 4)) + label[:, None]).astype(np.float32),
    )
    config = tiny_config(
        METHODS,
        corpus={"kind": "npz", "path": str(root / "corpus.npz")},
        retrieval={"width": 10},
        dump={"crossfit": 3},
        serve={"method": "shuffled"},
    )
    return config, build_workspace(config, root)


@pytest.mark.parametrize("name", METHODS)
def test_it_trains_to_the_same_bytes_and_beats_chance(
    name: str, without_text: tuple[Any, Workspace], tmp_path: Path
) -> None:
    config, workspace = without_text
    for run in ("one", "two"):
        train_method(config, name, workspace, tmp_path / run / "model")
        evaluate_method(config, name, workspace, tmp_path / run / "model", tmp_path / run / "results")
    for file in sorted((tmp_path / "one").rglob("*")):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes(), file.name
    predictions = read_table(tmp_path / "one" / "results" / "predictions.parquet")
    assert len(predictions) == 30 * 7
    whole = read_json(tmp_path / "one" / "results" / "metrics.json")
    assert whole["avt/accuracy"] > 0.45
    assert whole["avt/accuracy"] == whole["av/accuracy"]
