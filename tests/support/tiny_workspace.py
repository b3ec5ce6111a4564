"""A tiny workspace, made once by the real stages: what every method is fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ramer.config import Config, parse_config
from ramer.modalities import MODALITIES
from ramer.pipeline.dump import dump
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.retrieve import retrieve
from ramer.project import Project
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
    project = Project(root)
    prepare(config, project)
    for m in MODALITIES:
        for stage in (pretrain, dump, index, retrieve):
            stage(config, project, m)
    return Workspace(project)
