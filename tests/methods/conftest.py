"""A tiny workspace, made once by the real stages: what every method is fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ramer.config import Config, parse_config
from ramer.data.prepare import prepare
from ramer.modalities import MODALITIES
from ramer.retrieval.index import build_index
from ramer.retrieval.neighbours import retrieve
from ramer.training.dump import dump
from ramer.training.pretrain import pretrain
from ramer.training.workspace import Workspace

ENCODER = {"model_dim": 16, "hidden_dim": 12, "layers": 1, "heads": 2, "ff_dim": 16, "epochs": 4, "batch_size": 32}
SYNTHETIC = {
    "rows": 180,
    "speakers": 12,
    "pool_rows": 60,
    "dims": {"audio": 10, "video": 8, "text": 14},
    "missing_rate": 0.1,
}


def tiny_config(methods: dict[str, dict[str, Any]], **sections: Any) -> Config:
    """Params of the tiny corpus with the given methods."""
    raw: dict[str, Any] = {
        "corpus": {"kind": "synthetic", "synthetic": SYNTHETIC},
        "prepare": {"seeds": [0]},
        "pretrain": dict.fromkeys(MODALITIES, ENCODER),
        "retrieval": {"width": 20, "scope": "all"},
        "train": {"hidden": [16], "epochs": 4, "batch_size": 32, "lr": 0.01},
        "methods": methods,
        "serve": {"method": next(iter(methods))},
    }
    return parse_config(raw | sections)


def build_workspace(config: Config, root: Path) -> Workspace:
    """Run the stages up to ``retrieve`` below ``root``."""
    prepared, states, neighbours = root / "data/prepared", root / "data/states", root / "data/neighbours"
    prepare(config, prepared)
    for m in MODALITIES:
        pretrain(config, m, prepared, root / "models/encoders" / m)
        dump(config, m, prepared, root / "models/encoders" / m, states / m)
        build_index(config, m, prepared, states / m, root / "models/index" / m)
        retrieve(config, m, prepared, states / m, root / "models/index" / m, neighbours / m)
    return Workspace(prepared, states, neighbours, root / "models")


@pytest.fixture(scope="session")
def workspace_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    build_workspace(tiny_config({"prior": {"type": "prior"}}), root)
    return root


@pytest.fixture(scope="session")
def workspace(workspace_root: Path) -> Workspace:
    data = workspace_root / "data"
    return Workspace(data / "prepared", data / "states", data / "neighbours", workspace_root / "models")
