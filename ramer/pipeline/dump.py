"""Stage ``dump@<modality>``: hidden state and unimodal posterior of every row."""

from __future__ import annotations

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.files import digest_file
from ramer.project import Project
from ramer.seeding import choose_device
from ramer.training.encoding import Reuse, encode_corpus


def dump(config: Config, project: Project, modality: str) -> None:
    """Encode one modality of all rows; without digests of the code nothing is kept for the next run.

    Raises:
        StaleError: an encoder is missing or damaged.
        ModelError: an encoder belongs to another corpus.
    """
    code = project.code_of("dump")
    encode_corpus(
        PreparedCorpus.open(project.prepared),
        modality,
        project.encoders(modality),
        project.states(modality),
        options=config.pretrain.of(modality),
        settings=config.dump,
        threads=config.runtime.threads,
        device=choose_device(config.runtime.device),
        reuse=Reuse(project.reuse(modality), digest_file(code)) if code.is_file() else None,
    )
