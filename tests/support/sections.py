"""Library functions behind the first stages, called with the sections of a configuration and folders of any name."""

from __future__ import annotations

from pathlib import Path

from ramer.config import Config
from ramer.data.kinds import read_corpus
from ramer.data.preparation import prepare_corpus
from ramer.data.prepared import PreparedCorpus
from ramer.devices import choose_device
from ramer.training.encoding import Reuse, encode_corpus
from ramer.training.pretraining import pretrain_encoders


def prepare(config: Config, out: Path) -> None:
    prepare_corpus(read_corpus(config.corpus, out.parent), config.prepare, out, config.retrieval)


def pretrain(config: Config, modality: str, prepared: Path, out: Path) -> None:
    pretrain_encoders(
        PreparedCorpus.open(prepared),
        modality,
        config.pretrain.of(modality),
        out,
        threads=config.runtime.threads,
        device=choose_device(config.runtime.device),
    )


def dump(
    config: Config, modality: str, prepared: Path, encoders: Path, out: Path, *, reuse: Reuse | None = None
) -> None:
    encode_corpus(
        PreparedCorpus.open(prepared),
        modality,
        encoders,
        out,
        options=config.pretrain.of(modality),
        settings=config.dump,
        threads=config.runtime.threads,
        device=choose_device(config.runtime.device),
        reuse=reuse,
    )
