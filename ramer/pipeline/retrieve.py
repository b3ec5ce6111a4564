"""Stage ``retrieve@<modality>``: the nearest database rows of every query."""

from __future__ import annotations

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.project import Project
from ramer.retrieval.neighbour_lists import open_indexes, write_neighbours
from ramer.retrieval.states import StatesTable


def retrieve(config: Config, project: Project, modality: str) -> None:
    """Find one modality's neighbours.

    Raises:
        StaleError: states, indexes and corpus do not fit each other.
        RetrievalError: a query is zero or not finite.
    """
    corpus = PreparedCorpus.open(project.prepared)
    states = StatesTable.open(project.states(modality), corpus)
    write_neighbours(
        corpus,
        states,
        open_indexes(project.indexes(modality), corpus, states, config.retrieval.scope),
        config.retrieval,
        project.neighbours(modality),
        rerank=config.index.rerank,
        device=config.runtime.device,
    )
