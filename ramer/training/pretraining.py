"""Phase one: a unimodal encoder per replicate, trained on the labelled training rows of its modality alone."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ramer import engine
from ramer.config import Encoder
from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.digests import sealed_directory
from ramer.errors import ConfigError, naming
from ramer.files import digest_file, write_lines
from ramer.nn.encoder import UnimodalEncoder
from ramer.seeding import generator, seed_torch
from ramer.training.checkpoints import build_encoder, save_encoder
from ramer.training.encoder_record import (
    ENCODER_FILE,
    EncoderDescription,
    EncoderRecord,
    EncoderReplicate,
    RegressionScores,
)
from ramer.training.encoder_training import regress, score_regression, train_encoder
from ramer.training.frozen_part import frozen_part
from ramer.training.savepoints import NOTHING_KEPT, Savepoints
from ramer.training.split_rows import SplitRows

logger = logging.getLogger(__name__)

HISTORY_COLUMNS = ("replicate", "epoch", "train_loss", "val_loss", "val_weighted_f1")


def pretrain_encoders(
    corpus: PreparedCorpus,
    modality: str,
    options: Encoder,
    out: Path,
    *,
    threads: int = 1,
    device: str = "cpu",
    savepoints: Savepoints = NOTHING_KEPT,
) -> None:
    """Train a modality's encoders and write one checkpoint per replicate, ``encoder.json`` and ``history.csv``.

    Which epoch is kept says ``ramer.training.recipes``. Test and pool rows are never read. A modality that the corpus
    lacks yields an ``encoder.json`` that says so, and no checkpoint.

    Args:
        options: of the encoder and its training.
        out: directory to write, whole or not at all.
        savepoints: to go on from; the bytes of ``out`` do not depend on them.

    Raises:
        ConfigError: heads do not divide the encoder's width.
        CorpusError: a replicate has no training or validation row that holds the modality.
    """
    description = EncoderDescription.of(modality, corpus.dims[modality], options, corpus.label_names)
    absent = corpus.dims[modality] == 0
    with sealed_directory(out) as directory:
        replicates = () if absent else corpus.replicates
        done = engine.map(
            partial(_pretrain_one, corpus, description, options, directory, savepoints, engine.device_of_calls(device)),
            replicates,
            resources=engine.Resources.on(device, threads),
            description=f"pretrain {modality}",
        )
        kept: dict[str, EncoderReplicate] = {}
        history: list[dict[str, str | float]] = []
        for replicate, trained in zip(replicates, done, strict=True):
            history += [{"replicate": replicate.name, **epoch} for epoch in trained.history]
            kept[replicate.name] = trained.about
        parameters = max((trained.parameters for trained in done), default=0)
        summary = EncoderRecord(**dict(description), absent=absent, replicates=kept, parameters=parameters)
        summary.write(directory / ENCODER_FILE)
        write_lines(directory / "history.csv", HISTORY_COLUMNS, history, numbers=".9g")


class _Trained(NamedTuple):
    """One replicate's encoder.

    Attributes:
        about: its entry in ``encoder.json``.
        history: one line per epoch.
        parameters: how many numbers it learns.
    """

    about: EncoderReplicate
    history: list[dict[str, float]]
    parameters: int


def _pretrain_one(
    corpus: PreparedCorpus,
    description: EncoderDescription,
    options: Encoder,
    directory: Path,
    savepoints: Savepoints,
    device: str,
    replicate: Replicate,
) -> _Trained:
    modality = description.modality
    path = directory / f"{replicate.name}.safetensors"
    seed_torch(replicate.seed, "pretrain", "torch", modality, replicate.fold)
    encoder = _build(modality, description).to(device)
    rng = generator(replicate.seed, "pretrain", modality, replicate.fold)
    train, val = (SplitRows(corpus, modality, replicate, split, device) for split in ("train", "val"))
    regression = regress(train, val, corpus.classes, options.inverse_penalties)
    frozen = frozen_part(train.at_once()[0], regression, encoder.linear_width) if encoder.linear_width else None
    with naming(f"params.yaml: pretrain.{modality}: {replicate.name}"):
        trained = train_encoder(encoder, train, val, frozen, options, rng, savepoints.at(replicate.name))
    save_encoder(path, encoder.state_dict(), corpus.scaler(modality, replicate), description)
    line = score_regression(regression, val)
    logger.info(
        "%s %s: epoch %d, %.3f (regression: %.3f)",
        modality,
        replicate.name,
        trained.epoch,
        trained.scores.weighted_f1,
        line.weighted_f1,
    )
    about = EncoderReplicate(
        epoch=trained.epoch,
        val_weighted_f1=trained.scores.weighted_f1,
        val_log_loss=trained.scores.log_loss,
        regression=RegressionScores(
            inverse_penalty=regression.inverse_penalty,
            val_log_loss=line.log_loss,
            val_weighted_f1=line.weighted_f1,
        ),
        digest=digest_file(path),
    )
    return _Trained(about, trained.history, sum(p.numel() for p in encoder.parameters()))


def _build(modality: str, description: EncoderDescription) -> UnimodalEncoder:
    try:
        return build_encoder(description)
    except ConfigError as error:
        raise ConfigError([f"params.yaml: pretrain.{modality}.{fault}" for fault in error.faults]) from None
