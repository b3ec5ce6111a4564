"""Stage ``pretrain@<modality>``: one unimodal encoder per replicate."""

from __future__ import annotations

from ramer import engine
from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.devices import else_on_cpu
from ramer.pipeline.unfinished import savepoints_of
from ramer.project import Project
from ramer.training.pretraining import pretrain_encoders


def pretrain(config: Config, project: Project, modality: str) -> None:
    """Train one modality's encoders.

    Raises:
        ConfigError: heads do not divide the encoder's width, or there is no such device.
        CorpusError: a replicate has no training or validation row that holds the modality.
    """
    else_on_cpu(config.runtime.device, lambda device: _pretrain(config.on(device), project, modality))


def _pretrain(config: Config, project: Project, modality: str) -> None:
    options, prepared, threads = config.pretrain.of(modality), project.prepared, config.runtime.threads
    device = engine.device_for(config.runtime.device)
    corpus = PreparedCorpus.open(prepared)
    kept = savepoints_of(
        project, "pretrain", modality, threads=threads, device=device, inputs=[prepared], settings=[options]
    )
    with kept as savepoints:
        pretrain_encoders(
            corpus,
            modality,
            options,
            project.encoders(modality),
            threads=threads,
            device=device,
            savepoints=savepoints,
        )
