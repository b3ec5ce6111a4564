"""Every method and way of ``ramer`` through train and evaluate on a corpus without text, with cross-fitted states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ramer.files import read_json, read_table
from ramer.methods import available_types
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.train import train
from ramer.project import Project
from tests.support.tiny_workspace import build_workspace, tiny_config

METHODS: dict[str, dict[str, Any]] = {
    "attention": {"type": "ramer", "aggregate": "attention"},
    "rerank": {"type": "ramer", "rerank": "learned"},
    "features": {"type": "ramer", "retrieve": "features"},
    "finetune": {"type": "ramer", "encoder": "finetune"},
    "rebuilt": {"type": "ramer", "encoder": "finetune", "rebuild_every": 1},
    "shuffled": {"type": "ramer", "database": "shuffled"},
    "label_knn": {"type": "label_knn", "k": 8},
    "icl_ca": {"type": "icl_ca", "k": 5, "width": 16, "heads": 2},
    "plus": {"type": "ramer_plus"},
    "plus_ridge": {"type": "ramer_plus", "fill": "ridge"},
    "plus_learned": {"type": "ramer_plus", "keys": "learned"},
    "taught": {"type": "taught_product"},
    "mmin": {"type": "mmin", "least_steps": 1},
    "if_mmin": {"type": "if_mmin", "least_steps": 1},
    "primd": {"type": "primd", "width": 16, "capacity": 16, "most": 4, "size": 8},
}
METHODS |= {kind: {"type": kind} for kind in available_types() if kind not in {o["type"] for o in METHODS.values()}}
CHANCE = ("prior",)


@pytest.fixture(scope="module")
def without_text(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Project]:
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
    build_workspace(config, root)
    return config, Project(root)


@pytest.mark.parametrize("name", METHODS)
def test_it_trains_to_the_same_bytes_and_beats_chance(name: str, without_text: tuple[Any, Project]) -> None:
    config, project = without_text
    outputs = project.method(name), project.method_results(name)
    written = []
    for _ in range(2):
        train(config, project, name)
        evaluate(config, project, name)
        written.append({file: file.read_bytes() for out in outputs for file in sorted(out.iterdir())})
    assert written[0] == written[1]
    predictions = read_table(project.method_results(name) / "predictions.parquet")
    assert len(predictions) == 30 * 7
    whole = read_json(project.method_results(name) / "metrics.json")
    assert whole["avt/accuracy"] > 0.45 or name in CHANCE
    assert predictions.notna().all(axis=None)
    assert whole["avt/accuracy"] == whole["av/accuracy"]
