"""The kinds of corpora by name, each with its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ramer.config import Corpus
from ramer.data.corpus import RawCorpus
from ramer.data.merbench import read_merbench
from ramer.data.npz import read_npz
from ramer.data.synthetic import read_synthetic
from ramer.errors import ConfigError

# A reader gets the section ``corpus`` and a folder that may hold what it wants to resume from.
KINDS: dict[str, Callable[[Corpus, Path], RawCorpus]] = {
    "synthetic": lambda corpus, scratch: read_synthetic(corpus.synthetic),
    "npz": lambda corpus, scratch: read_npz(Path(corpus.path)),
    "merbench": lambda corpus, scratch: read_merbench(Path(corpus.path), corpus.merbench, scratch),
}


def read_corpus(corpus: Corpus, scratch: Path) -> RawCorpus:
    """The corpus that a section of ``params.yaml`` names.

    Raises:
        ConfigError: its kind is unknown.
        CorpusError: it cannot be read; one line per fault.
    """
    check_kind(corpus)
    return KINDS[corpus.kind](corpus, scratch)


def check_kind(corpus: Corpus, source: str = "params.yaml") -> None:
    """Refuse a kind that has no reader; ``source`` names the file in the fault.

    Raises:
        ConfigError: with the choices.
    """
    if corpus.kind not in KINDS:
        raise ConfigError(f"{source}: corpus.kind: unknown kind {corpus.kind!r}, expected one of {', '.join(KINDS)}")
