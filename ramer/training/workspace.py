"""What a pipeline has written so far, opened for those who fit and score methods."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.inputs import NEIGHBOURS
from ramer.modalities import MODALITIES
from ramer.retrieval.neighbours import NeighbourTable
from ramer.retrieval.states import StatesTable
from ramer.training.batches import ReplicateData


@dataclass(frozen=True)
class ModelShape:
    """What a model must know of its corpus.

    Attributes:
        feature_dims: length of the raw vectors per modality, 0 where the corpus lacks it.
        state_dims: length of the hidden states per modality.
        label_names: classes in the order of the probabilities.
    """

    feature_dims: dict[str, int]
    state_dims: dict[str, int]
    label_names: tuple[str, ...]

    @property
    def classes(self) -> int:
        return len(self.label_names)


class Workspace:
    """The prepared corpus, states and neighbours that methods read.

    Args:
        prepared: ``data/prepared``.
        states: ``data/states``, one folder per modality.
        neighbours: ``data/neighbours``, one folder per modality.
        models: ``models``, the encoders and indexes that states and neighbours came from, for methods that encode.
    """

    def __init__(self, prepared: Path, states: Path, neighbours: Path, models: Path | None = None) -> None:
        self.corpus = PreparedCorpus.open(prepared)
        self.states = {m: StatesTable.open(states / m, self.corpus) for m in MODALITIES}
        self._neighbours_path = neighbours
        self._models = models
        self._neighbours: dict[str, NeighbourTable] | None = None

    @property
    def neighbours(self) -> dict[str, NeighbourTable]:
        if self._neighbours is None:
            path = self._neighbours_path
            self._neighbours = {m: NeighbourTable.open(path / m, self.states[m]) for m in MODALITIES}
        return self._neighbours

    def shape(self) -> ModelShape:
        widths = {m: int(self.states[m].states.shape[-1]) for m in MODALITIES}
        return ModelShape(self.corpus.dims, widths, self.corpus.label_names)

    def replicate(self, replicate: Replicate, inputs: frozenset[str]) -> ReplicateData:
        """One replicate's data; neighbours are opened only for a method that reads them."""
        neighbours = self.neighbours if NEIGHBOURS in inputs else None
        return ReplicateData(self.corpus, replicate, self.states, neighbours, self._models)
