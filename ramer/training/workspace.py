"""What a pipeline has written so far, opened for those who fit and score methods."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.digests import contents
from ramer.inputs import LIVE, NEIGHBOURS
from ramer.modalities import MODALITIES
from ramer.project import Project
from ramer.retrieval.neighbours import NeighbourTable
from ramer.retrieval.states import StatesTable
from ramer.training.replicate_data import ReplicateData


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

    Attributes:
        corpus: the prepared corpus.
        states: states and posteriors per modality.

    Raises:
        StaleError: something is not there, or does not belong to the rest.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self.corpus = PreparedCorpus.open(project.prepared)
        self.states = {m: StatesTable.open(project.states(m), self.corpus) for m in MODALITIES}

    def __reduce__(self) -> tuple[type[Workspace], tuple[Project]]:
        """Another process opens it itself."""
        return Workspace, (self._project,)

    @cached_property
    def neighbours(self) -> dict[str, NeighbourTable]:
        """Neighbour lists per modality, opened when they are first asked for."""
        return {m: NeighbourTable.open(self._project.neighbours(m), self.states[m]) for m in MODALITIES}

    def shape(self) -> ModelShape:
        widths = {m: int(self.states[m].states.shape[-1]) for m in MODALITIES}
        return ModelShape(self.corpus.dims, widths, self.corpus.label_names)

    def contents_of(self, inputs: frozenset[str]) -> dict[str, dict[str, str]]:
        """The content, by digests, of every folder that a method with these inputs reads.

        The corpus and all states are read by every one: of these a database, a batch and a model's shape are made.
        """
        project = self._project
        folders = {"prepared": project.prepared} | {f"states {m}": project.states(m) for m in MODALITIES}
        if NEIGHBOURS in inputs:
            folders |= {f"neighbours {m}": project.neighbours(m) for m in MODALITIES}
        if LIVE in inputs:
            folders |= {f"encoders {m}": project.encoders(m) for m in MODALITIES}
            folders |= {f"index {m}": project.indexes(m) for m in MODALITIES}
        return {name: contents(folder) for name, folder in folders.items()}

    def replicate(self, replicate: Replicate, inputs: frozenset[str]) -> ReplicateData:
        """One replicate's data; neighbours are opened only for a method that reads them."""
        neighbours = self.neighbours if NEIGHBOURS in inputs else None
        return ReplicateData(self.corpus, replicate, self.states, neighbours, self._project)
