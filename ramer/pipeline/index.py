"""Stage ``index@<modality>``: FAISS indexes over the database rows."""

from __future__ import annotations

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.project import Project
from ramer.retrieval.indexes import build_indexes
from ramer.retrieval.states import StatesTable


def index(config: Config, project: Project, modality: str) -> None:
    """Index one modality's database rows.

    Raises:
        StaleError: states of other rows.
        RetrievalError: an empty scope, or a key that is zero or not finite.
        OSError: the disk has no room for lists on it.
    """
    corpus = PreparedCorpus.open(project.prepared)
    states = StatesTable.open(project.states(modality), corpus)
    out, threads = project.indexes(modality), config.runtime.threads
    build_indexes(corpus, states, config.index, config.retrieval, out, threads=threads)
