"""Every type of method, and the forms of some that are worth a run of their own."""

from __future__ import annotations

from typing import Any

from ramer.methods import available_types, method_class
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace
from tests.support.tiny_workspace import tiny_config

TRAINING = tiny_config({"prior": {"type": "prior"}}).train
ENTRIES: dict[str, dict[str, Any]] = {kind: {"type": kind} for kind in available_types()} | {
    "ramer, attention": {"type": "ramer", "aggregate": "attention"},
    "ramer, rerank": {"type": "ramer", "rerank": "learned"},
    "ramer, features": {"type": "ramer", "retrieve": "features"},
    "ramer, finetune, rerank, calibrated": {
        "type": "ramer",
        "encoder": "finetune",
        "encoder_lr": 0.003,
        "rerank": "learned",
        "bimodal": "calibrated",
    },
    "ramer, finetune, features": {"type": "ramer", "encoder": "finetune", "encoder_lr": 0.003, "retrieve": "features"},
    "ramer, finetune": {"type": "ramer", "encoder": "finetune", "encoder_lr": 0.003},
    "ramer, finetune, rebuilt, shuffled": {
        "type": "ramer",
        "encoder": "finetune",
        "encoder_lr": 0.003,
        "rebuild_every": 2,
        "aggregate": "attention",
        "database": "shuffled",
    },
    "ramer, learned keys": {"type": "ramer", "keys": "learned"},
    "ramer, learned keys, attention, shuffled": {
        "type": "ramer",
        "keys": "learned",
        "aggregate": "attention",
        "database": "shuffled",
    },
    "ramer, feature keys, features": {"type": "ramer", "keys": "features", "retrieve": "features"},
    "mmin": {"type": "mmin", "least_steps": 1},
    "if_mmin": {"type": "if_mmin", "least_steps": 1},
    "primd, shuffled": {"type": "primd", "memory": "shuffled"},
    "primd, empty": {"type": "primd", "memory": "empty"},
    "icl_ca, shuffled, no labels": {"type": "icl_ca", "database": "shuffled", "labels": False},
    "ramer, rerank, attention, shuffled": {
        "type": "ramer",
        "aggregate": "attention",
        "rerank": "learned",
        "database": "shuffled",
    },
}
TYPES = tuple(ENTRIES)


def data_for(kind: str, workspace: Workspace) -> ReplicateData:
    return workspace.replicate(workspace.corpus.replicates[0], method_class(ENTRIES[kind]["type"]).inputs)
