"""A map of the hidden states: the two directions in which the test rows of a fold differ most."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ramer.data.prepared import PreparedCorpus
from ramer.errors import StaleError
from ramer.modalities import MODALITIES
from ramer.project import Project
from ramer.reporting.explorer.arrays import Packed, packed
from ramer.reporting.explorer.shown_clips import Clips
from ramer.retrieval.states import STATES_FILE, StatesTable, l2_normalise

NOWHERE = -32768  # of a clip without a state
REACH = 32000


def state_map(project: Project, clips: Clips) -> dict[str, Packed]:
    """Coordinates per modality, int16 [clips, 2], of the first seed's states; a fold has an encoder, and so a map.

    A modality whose states were not kept, or that the corpus lacks, has none.

    Raises:
        StaleError: states of another corpus.
    """
    if not all((project.states(m) / STATES_FILE).exists() for m in MODALITIES):
        return {}
    corpus = PreparedCorpus.open(project.prepared)
    row = pd.Index(corpus.ids.astype(str)).get_indexer(pd.Index(clips.ids))
    if (row < 0).any():
        raise StaleError(
            f"{project.prepared}: {clips.ids[row < 0][0]} was tested and is no row of it", project.prepared
        )
    tables = {m: StatesTable.open(project.states(m), corpus) for m in MODALITIES}
    return {m: packed(_of_modality(table, corpus, row, clips)) for m, table in tables.items() if not table.absent}


def _of_modality(table: StatesTable, corpus: PreparedCorpus, row: np.ndarray, clips: Clips) -> np.ndarray:
    found = np.full((len(clips), 2), NOWHERE, dtype=np.int16)
    for fold in np.unique(clips.folds):
        replicate = min((r for r in corpus.replicates if r.fold == fold), key=lambda r: r.seed)
        places = np.flatnonzero(clips.folds == fold)
        states = l2_normalise(np.asarray(table.of(replicate)[row[places]], dtype=np.float32)).astype(np.float64)
        held = np.isfinite(states).all(axis=1)
        if held.sum() > 1:
            found[places[held]] = principal(states[held])
    return found


def principal(states: np.ndarray) -> np.ndarray:
    """The first two principal components [n, 2], scaled to +-``REACH``; signs are fixed, so runs agree."""
    centred = states - states.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = np.stack([vectors[:, -1], vectors[:, -2] if vectors.shape[1] > 1 else np.zeros(len(vectors))], axis=1)
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(2)] < 0, -1.0, 1.0)
    flat = centred @ axes
    return np.round(flat / max(float(np.abs(flat).max()), 1e-12) * REACH).astype(np.int16)
