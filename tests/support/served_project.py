"""A tiny project as `dvc repro` leaves it, and raw features of its test rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ramer.config import Config, load_config
from ramer.data.prepared import PreparedCorpus
from ramer.modalities import CONDITIONS, MODALITIES, condition_masks
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.train import train
from ramer.project import Project
from ramer.reporting.comparison import compare_methods
from ramer.reporting.results import ReportSettings
from tests.support.tiny_workspace import build_workspace, tiny_config

METHODS: dict[str, dict[str, Any]] = {
    "ramer": {"type": "ramer", "k": 3},
    "literal": {
        "type": "ramer",
        "k": 3,
        "aggregate": "sum",
        "bimodal": "kth_score",
        "drop_first": True,
        "normalize_query": False,
        "normalize_values": False,
        "normalize_available": False,
    },
    "calibrated": {"type": "ramer", "k": 3, "bimodal": "calibrated"},
    "shuffled": {"type": "ramer", "k": 3, "database": "shuffled"},
    "label_knn": {"type": "label_knn", "k": 8},
    "icl_ca": {"type": "icl_ca", "k": 3, "width": 16, "heads": 2, "layers": 1},
    "simmlm": {"type": "simmlm", "width": 16},
    "primd": {"type": "primd", "width": 16, "capacity": 12, "most": 4, "size": 8},
    "zero_fill": {"type": "zero_fill"},
    "late_product": {"type": "late_product"},
    "modality_dropout": {"type": "modality_dropout"},
    "unimodal_ensemble": {"type": "unimodal_ensemble"},
    "prior": {"type": "prior"},
    "oracle": {"type": "oracle"},
    "features": {"type": "ramer", "k": 3, "retrieve": "features"},
    "tuned": {"type": "ramer", "k": 3, "encoder": "finetune", "encoder_lr": 0.01},
    "rebuilt": {"type": "ramer", "k": 3, "encoder": "finetune", "encoder_lr": 0.01, "rebuild_every": 1},
    "attending": {"type": "ramer", "k": 3, "encoder": "finetune", "encoder_lr": 0.01, "aggregate": "attention"},
}


def build_project(root: Path, methods: dict[str, dict[str, Any]], **sections: Any) -> Path:
    """Run all stages up to ``evaluate`` below ``root``."""
    config: Config = tiny_config(methods, **{"prepare": {"seeds": [0, 1]}} | sections)
    root.mkdir(exist_ok=True)
    project = Project(root)
    project.params.write_text(json.dumps(config.model_dump(mode="json")), "utf-8")
    build_workspace(config, root)
    for name in methods:
        train(config, project, name)
        evaluate(config, project, name)
    return root


def run_report(root: Path, out: Path | None = None) -> None:
    """The stage ``report``, written into the project ``out`` if it is another: what ``track`` needs beside results."""
    project = Project(root)
    config = load_config(project.params)
    settings = ReportSettings(config.evaluate, config.report, config.retrieval, config.serve.method)
    compare_methods(project, list(config.methods), settings, Project(out) if out else None)


def corpus_of(project: Path) -> PreparedCorpus:
    return PreparedCorpus.open(Project(project).prepared)


def rows_of(project: Path, split: str = "test") -> np.ndarray:
    corpus = corpus_of(project)
    return corpus.rows_in(corpus.replicates[0], split)


def raw_features(project: Path, rows: np.ndarray, condition: str = "avt") -> dict[str, np.ndarray]:
    """Raw vectors of corpus rows, NaN where the condition or nature leaves nothing."""
    corpus = corpus_of(project)
    held = condition_masks()[list(CONDITIONS).index(condition)]
    found = {m: np.array(corpus.features[m][rows]) for m in MODALITIES if corpus.dims[m]}
    return {m: v if held[MODALITIES.index(m)] else np.full_like(v, np.nan) for m, v in found.items()}


def prior_of(project: Path) -> np.ndarray:
    """Class frequencies of the training rows, the mean over replicates."""
    corpus = corpus_of(project)
    labels = [corpus.labels(r)[corpus.rows_in(r, "train")] for r in corpus.replicates]
    priors = [np.bincount(own, minlength=corpus.classes) / len(own) for own in labels]
    return np.asarray(np.mean(priors, axis=0))


def save_npz(path: Path, project: Path, rows: np.ndarray, **changes: Any) -> Path:
    """Rows of the corpus as a packed file of clips to predict; a change of None leaves the key out."""
    features = raw_features(project, rows)
    arrays: dict[str, Any] = {"ids": corpus_of(project).ids[rows].astype(str)}
    arrays |= {key: features[m] for key, m in zip("AVL", MODALITIES, strict=True) if m in features}
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    return path
