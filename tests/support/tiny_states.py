"""A tiny prepared corpus and its states, written by hand in the pipeline's file formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramer.config import Config, parse_config
from ramer.data.prepared import PreparedCorpus
from ramer.files import digest_strings, write_json, write_table
from ramer.modalities import MODALITIES
from ramer.pipeline.index import index
from ramer.pipeline.retrieve import retrieve
from ramer.project import Project
from ramer.retrieval.neighbours import NeighbourTable

HIDDEN = {"audio": 6, "video": 5, "text": 7}
REPLICATES = [{"fold": 0, "seed": 0}, {"fold": 0, "seed": 1}]
LABELS = ["sad", "happy"]


class Tiny(Project):
    """A tiny project whose states are written by hand."""

    def open_corpus(self) -> PreparedCorpus:
        return PreparedCorpus.open(self.prepared)

    def write_states(self, modality: str, states: np.ndarray, encoder: str = "encoder") -> None:
        """states: [replicates, rows, hidden]."""
        folder = self.states(modality)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "states.npy", states.astype(np.float32))
        np.save(folder / "posteriors.npy", np.full((*states.shape[:2], len(LABELS)), 0.5, dtype=np.float32))
        info = {
            "modality": modality,
            "hidden_dim": states.shape[2],
            "ids_digest": digest_strings(self.open_corpus().ids),
            "encoder_digests": {f"fold{r['fold']}_seed{r['seed']}": f"{encoder}{r['seed']}" for r in REPLICATES},
            "absent": states.shape[2] == 0,
        }
        write_json(folder / "states.json", info)

    def read_states(self, modality: str) -> np.ndarray:
        return np.load(self.states(modality) / "states.npy")


def write_tiny(root: Path, rows: int = 120, speakers: int = 6, pool: int = 30, absent: str | None = None) -> Tiny:
    """A corpus whose last ``pool`` rows are unlabelled; every seventh row lacks a modality."""
    rng = np.random.default_rng(0)
    tiny = Tiny(root)
    tiny.prepared.mkdir(parents=True)
    ids = [f"clip{i:03d}" for i in range(rows)]
    speaker = [None if i >= rows - pool or i % 10 == 9 else f"s{i % speakers}" for i in range(rows)]
    held = rng.random((rows, 3)) > 1 / 7
    held[:, [m == absent for m in MODALITIES]] = False
    label = [LABELS[i % 2] if i < rows - pool else None for i in range(rows)]
    table = pd.DataFrame({"id": ids, "speaker": speaker, "label": label})
    splits = pd.DataFrame({"id": ids})
    for i, m in enumerate(MODALITIES):
        table[f"available_{m}"] = held[:, i]
    for r in REPLICATES:
        drawn = rng.choice(["train", "val", "test"], rows, p=[0.6, 0.2, 0.2])
        drawn[rows - pool :] = "pool"
        splits[f"fold{r['fold']}_seed{r['seed']}"] = drawn
    write_table(tiny.prepared / "rows.parquet", table)
    write_table(tiny.prepared / "splits.parquet", splits)
    dims = {m: 0 if m == absent else 3 for m in MODALITIES}
    info: dict[str, Any] = {"name": "tiny", "label_names": LABELS, "dims": dims, "replicates": REPLICATES}
    write_json(tiny.prepared / "corpus.json", info)
    for i, m in enumerate(MODALITIES):
        states = rng.standard_normal((len(REPLICATES), rows, 0 if m == absent else HIDDEN[m]))
        states *= rng.uniform(0.5, 4, (1, rows, 1))  # lengths differ: what is not normalised shows
        states[:, ~held[:, i]] = np.nan
        tiny.write_states(m, states)
    return tiny


def tiny_config(**sections: Any) -> Config:
    raw: dict[str, Any] = {"methods": {"ramer": {"type": "ramer"}}, "retrieval": {"width": 20}}
    return parse_config(raw | sections)


def build(tiny: Tiny, modality: str = "audio", **sections: Any) -> Path:
    """The stage ``index`` with these sections; its folder."""
    index(tiny_config(**sections), tiny, modality)
    return tiny.indexes(modality)


def search(tiny: Tiny, modality: str = "audio", **sections: Any) -> NeighbourTable:
    """The stage ``retrieve`` with these sections."""
    retrieve(tiny_config(**sections), tiny, modality)
    return NeighbourTable.open(tiny.neighbours(modality))


def run(tiny: Tiny, modality: str = "audio", index: dict[str, Any] | None = None, **retrieval: Any) -> NeighbourTable:
    """Both, one after the other."""
    sections = {"retrieval": {"width": 20} | retrieval, "index": index or {}}
    build(tiny, modality, **sections)
    return search(tiny, modality, **sections)
