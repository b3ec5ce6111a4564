"""What tests of single methods share: fitting with options of their own."""

from __future__ import annotations

from typing import Any

from ramer.config import Training
from ramer.methods import Method, build_method, method_class, method_options
from ramer.methods.shared.fitting import fit_replicate
from ramer.training.fitted import History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace
from tests.support.tiny_workspace import tiny_config

SMALL: dict[str, dict[str, Any]] = {
    "mmin": {"embedding": 8, "layers": [12, 6], "blocks": 2, "classifier": [16], "least_steps": 1},
    "if_mmin": {"embedding": 8, "layers": [12, 6], "blocks": 2, "classifier": [16], "least_steps": 1},
    "momke": {"width": 16, "depth": 1, "dropout": 0.1},
    "modality_dropout": {"input_dropouts": [0.0], "width": 16, "heads": 2, "layers": 1},
    "distil": {"input_dropouts": [0.0]},
    "simmlm": {"width": 16},
    "primd": {"width": 16, "capacity": 12, "most": 4, "size": 8},
    "icl_ca": {"width": 16, "heads": 2, "layers": 1, "dropout": 0.1},
}


def training(**changes: Any) -> Training:
    """A budget large enough to learn the tiny corpus."""
    budget = {"hidden": [32], "dropout": 0.1, "epochs": 30, "patience": 10, "batch_size": 32, "lr": 0.01}
    return tiny_config({"prior": {"type": "prior"}}, train=budget | changes).train


def build(kind: str, workspace: Workspace, budget: Training | None = None, **options: Any) -> Method:
    """An untrained method with small sizes."""
    entry = {"type": kind} | SMALL.get(kind, {}) | options
    return build_method(method_options(kind, entry), workspace.shape(), budget or training())


def data_for(kind: str, workspace: Workspace) -> ReplicateData:
    return workspace.replicate(workspace.corpus.replicates[0], method_class(kind).inputs)


def fit(method: Method, data: ReplicateData) -> History:
    """Fit a method; its history."""
    history = History()
    fit_replicate(method, data, history)
    return history


def rows_of(kind: str, data: ReplicateData, split: str) -> LabelledRows:
    return LabelledRows(data, data.corpus.rows_in(data.replicate, split), method_class(kind).inputs)


def training_rows(kind: str, data: ReplicateData) -> TrainingBatch:
    return TrainingBatch(data, method_class(kind).inputs)
