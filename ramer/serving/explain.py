"""What a method retrieved for a clip of the corpus, or for new features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ramer.errors import ModelError, RamerError
from ramer.methods import load_method, method_class
from ramer.modalities import LETTERS, MODALITIES
from ramer.project import Project
from ramer.serving.features import drop_modalities, read_features
from ramer.serving.model import ModelFiles
from ramer.serving.modelfiles import find_trained, open_model
from ramer.serving.predictor import Neighbour, Predictor, name_neighbours
from ramer.training.workspace import Workspace


@dataclass(frozen=True)
class Explained:
    """A clip, the modalities that it is taken to have, and who stands in for the others, best first."""

    id: str
    available: tuple[str, ...]
    neighbours: tuple[Neighbour, ...]


def explain_clip(project: Path, clip: str, available: str, method: str | None = None) -> Explained:
    """Neighbours of a clip of the corpus as training and evaluation saw them: without its own speaker.

    The first replicate that tests the clip, else the first of all.

    Raises:
        RamerError: no such clip or project, a method that does not retrieve, or the clip was not a query.
    """
    files = _lending(find_trained(project, method), project)
    workspace = Workspace(Project(project))
    corpus = workspace.corpus
    row = np.flatnonzero(corpus.ids == clip)
    if not len(row):
        raise RamerError(f"{project}: {clip!r} is no clip of {corpus.name}")
    tested = [r for r in corpus.replicates if row[0] in corpus.rows_in(r, "test")]
    replicate = (tested or corpus.replicates)[0]
    mask = np.array([LETTERS[m] in available for m in MODALITIES])
    head = load_method(files.heads / f"{replicate.name}.safetensors")
    batch = workspace.replicate(replicate, head.reads).batch(row, mask, head.reads)
    labels = np.array([*corpus.label_names, None], dtype=object)[batch.database.labels]
    held = tuple(m for m, has in zip(MODALITIES, batch.available[0], strict=True) if has)
    selected = head.neighbours_of(batch)
    return Explained(clip, held, () if selected is None else name_neighbours(selected, corpus.ids, labels)[0])


def explain_features(path: Path, source: Path, available: str, method: str | None = None) -> list[Explained]:
    """Neighbours of every clip of an npz.

    Raises:
        RamerError: as ``Predictor.predict``, or a method that does not retrieve.
    """
    with open_model(path, method) as files:
        predictor = Predictor(_lending(files, path))
    ids, features = read_features(source, {})
    dropped = "".join(letter for letter in LETTERS.values() if letter not in available)
    predicted = predictor.predict(drop_modalities(features, dropped), neighbours=True)
    return [
        Explained(clip, tuple(np.array(MODALITIES)[held].tolist()), near)
        for clip, held, near in zip(ids, predicted.available, predicted.neighbours, strict=True)
    ]


def _lending(files: ModelFiles, path: Path) -> ModelFiles:
    """A model in which neighbours stand in for what is missing."""
    if not method_class(files.description.type).lends:
        name = files.description.method
        raise ModelError(
            f"{path}: method {name!r} retrieves nothing that stands in for what is missing; name one with --method"
        )
    return files
