"""Stage ``pretrain@<modality>``: one unimodal encoder per replicate."""

from __future__ import annotations

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.project import Project
from ramer.seeding import choose_device
from ramer.training.pretraining import pretrain_encoders


def pretrain(config: Config, project: Project, modality: str) -> None:
    """Train one modality's encoders.

    Raises:
        ConfigError: heads do not divide the encoder's width, or there is no such device.
        CorpusError: a replicate has no training or validation row that holds the modality.
    """
    pretrain_encoders(
        PreparedCorpus.open(project.prepared),
        modality,
        config.pretrain.of(modality),
        project.encoders(modality),
        threads=config.runtime.threads,
        device=choose_device(config.runtime.device),
    )
