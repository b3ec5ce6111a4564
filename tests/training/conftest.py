"""A small prepared corpus, written as the stage ``prepare`` writes it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ramer.config import Config, parse_config
from ramer.data.prepared import PreparedCorpus
from ramer.files import write_json, write_table
from ramer.modalities import MODALITIES
from tests.support.sections import pretrain

DIMS = {"audio": 12, "video": 8, "text": 0}
LABELS = ["angry", "happy", "sad"]
SPLITS = ["train"] * 60 + ["val"] * 30 + ["test"] * 30 + ["pool"] * 40
ENCODER = {
    "model_dim": None,
    "hidden_dim": 10,
    "layers": 2,
    "heads": 4,
    "ff_dim": 16,
    "dropout": 0.1,
    "classifier_dims": [8],
    "epochs": 4,
    "patience": 2,
    "batch_size": 16,
    "lr": 0.005,
}


@pytest.fixture
def make_config() -> Callable[..., Config]:
    def make(**changes: object) -> Config:
        section = ENCODER | changes
        return parse_config(
            {
                "runtime": {"device": "cpu"},
                "pretrain": {m: dict(section) for m in MODALITIES},
                "dump": {"batch_size": 48},
                "methods": {"ramer": {"type": "ramer"}},
                "report": {"reference": "best_baseline"},
            }
        )

    return make


@pytest.fixture
def write_corpus() -> Callable[..., Path]:
    """Write a prepared corpus; ``poison`` replaces features and labels of test and pool rows by garbage."""

    def write(path: Path, *, poison: bool = False, missing_audio: tuple[int, ...] = (3, 70, 100, 130)) -> Path:
        path.mkdir(parents=True)
        rng = np.random.default_rng(0)
        splits = np.array(SPLITS)
        labels = rng.integers(len(LABELS), size=len(splits))
        hidden = np.isin(splits, ["test", "pool"]) if poison else np.zeros(len(splits), dtype=bool)
        available = {m: np.full(len(splits), DIMS[m] > 0) for m in MODALITIES}
        available["audio"][list(missing_audio)] = False
        scalers = {}
        for modality, dim in DIMS.items():
            centres = rng.normal(size=(len(LABELS), dim)) * 2
            features = (centres[labels] + rng.normal(size=(len(splits), dim))).astype(np.float32)
            features[~available[modality]] = np.nan
            used = features[(splits == "train") & available[modality]]
            scalers[f"{modality}_mean"] = np.tile(used.mean(0) if len(used) else np.zeros(dim), (2, 1))
            scalers[f"{modality}_std"] = np.tile(used.std(0) if len(used) else np.ones(dim), (2, 1))
            features[hidden & available[modality]] = 1e6
            np.save(path / f"{modality}.npy", features)
        with zipfile.ZipFile(path / "scalers.npz", "w") as archive:
            for name, value in scalers.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.save(file, value.astype(np.float32))
        names: np.ndarray = np.array(LABELS, dtype=object)[np.where(hidden, 0, labels)]
        names[splits == "pool"] = "angry" if poison else None
        ids = [f"clip{i:03d}" for i in range(len(splits))]
        rows = {"id": ids, "speaker": [f"s{i % 8}" for i in range(len(ids))], "label": names}
        write_table(path / "rows.parquet", pd.DataFrame(rows | {f"available_{m}": available[m] for m in MODALITIES}))
        write_table(path / "splits.parquet", pd.DataFrame({"id": ids, "fold0_seed0": splits, "fold0_seed1": splits}))
        replicates = [{"fold": 0, "seed": 0}, {"fold": 0, "seed": 1}]
        info = {"name": "tiny", "dims": DIMS, "label_names": LABELS, "replicates": replicates}
        write_json(path / "corpus.json", info)
        return path

    return write


@pytest.fixture
def trained(tmp_path: Path, make_config: Callable[..., Config], write_corpus: Callable[..., Path]) -> PreparedCorpus:
    """A corpus whose audio encoders, below ``tmp_path / "encoders"``, have learnt for two epochs."""
    corpus = PreparedCorpus.open(write_corpus(tmp_path / "prepared"))
    pretrain(make_config(epochs=2), "audio", corpus.path, tmp_path / "encoders")
    return corpus
