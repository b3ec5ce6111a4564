"""Stage ``dump@<modality>``: hidden state and unimodal posterior of every row."""

from __future__ import annotations

from ramer import engine
from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.devices import else_on_cpu
from ramer.files import digest_file
from ramer.pipeline.unfinished import savepoints_of
from ramer.project import Project
from ramer.training.encoding import Reuse, encode_corpus


def dump(config: Config, project: Project, modality: str) -> None:
    """Encode one modality of all rows; without digests of the code nothing is kept for the next run.

    Raises:
        StaleError: an encoder is missing or damaged.
        ModelError: an encoder belongs to another corpus.
    """
    else_on_cpu(config.runtime.device, lambda device: _dump(config.on(device), project, modality))


def _dump(config: Config, project: Project, modality: str) -> None:
    options, code, threads = config.pretrain.of(modality), project.code_of("dump"), config.runtime.threads
    device = engine.device_for(config.runtime.device)
    corpus, encoders = PreparedCorpus.open(project.prepared), project.encoders(modality)
    read, settings = [project.prepared, encoders], [options, config.dump]
    kept = savepoints_of(project, "dump", modality, threads=threads, device=device, inputs=read, settings=settings)
    with kept as savepoints:
        encode_corpus(
            corpus,
            modality,
            encoders,
            project.states(modality),
            options=options,
            settings=config.dump,
            threads=threads,
            device=device,
            reuse=Reuse(project.reuse(modality), digest_file(code)) if code.is_file() else None,
            savepoints=savepoints,
        )
