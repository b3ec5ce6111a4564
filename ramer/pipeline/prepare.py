"""Stage ``prepare``: read, check and split the corpus."""

from __future__ import annotations

from ramer.config import Config
from ramer.data.kinds import read_corpus
from ramer.data.preparation import prepare_corpus
from ramer.project import Project


def prepare(config: Config, project: Project) -> None:
    """From the corpus that ``params.yaml`` names to the one format that every later stage reads.

    Raises:
        CorpusError: the corpus cannot be used; one line per fault.
    """
    corpus = read_corpus(config.corpus, project.prepared.parent)
    prepare_corpus(corpus, config.prepare, project.prepared, config.retrieval)
