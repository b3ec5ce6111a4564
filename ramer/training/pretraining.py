"""Phase one: a unimodal encoder per replicate, trained on the labelled training rows of its modality alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ramer import engine
from ramer.config import Encoder
from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.digests import sealed_directory
from ramer.errors import ConfigError
from ramer.evaluation.metrics import weighted_f1
from ramer.files import digest_file
from ramer.nn.encoder import UnimodalEncoder
from ramer.nn.linear import reuse_gradients
from ramer.seeding import generator, seed_torch
from ramer.training.adamw import AdamW
from ramer.training.checkpoints import (
    ENCODER_FILE,
    EncoderDescription,
    EncoderRecord,
    EncoderReplicate,
    build_encoder,
    save_encoder,
)
from ramer.training.early_stopping import EarlyStopping
from ramer.training.epochs import EpochLoop
from ramer.training.savepoints import NOTHING_KEPT, Savepoint, Savepoints
from ramer.training.split_rows import SplitRows

logger = logging.getLogger(__name__)

HISTORY_COLUMNS = ["replicate", "epoch", "train_loss", "val_loss", "val_weighted_f1"]
CLIP_NORM = 1.0
SCORING_BATCH = 1024


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

    The best epoch by validation weighted F1 is kept, the lower validation loss among equals. Test and pool rows are
    never read. A modality that the corpus lacks yields an ``encoder.json`` that says so, and no checkpoint.

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
            partial(_pretrain_one, corpus, description, options, directory, savepoints),
            list(zip(replicates, engine.spread(device, len(replicates)), strict=True)),
            resources=engine.Resources.on(device, threads),
            description=f"pretrain {modality}",
        )
        kept: dict[str, EncoderReplicate] = {}
        history: list[dict[str, Any]] = []
        for replicate, trained in zip(replicates, done, strict=True):
            history += [{"replicate": replicate.name, **epoch} for epoch in trained.history]
            kept[replicate.name] = EncoderReplicate(
                epoch=trained.best.best_epoch, val_weighted_f1=trained.best.best_score, digest=trained.digest
            )
        parameters = max((trained.parameters for trained in done), default=0)
        summary = EncoderRecord(**dict(description), absent=absent, replicates=kept, parameters=parameters)
        summary.write(directory / ENCODER_FILE)
        table = pd.DataFrame(history, columns=HISTORY_COLUMNS)
        table.to_csv(directory / "history.csv", index=False, float_format="%.9g", lineterminator="\n")


class _Trained(NamedTuple):
    """One replicate's encoder.

    Attributes:
        digest: of its checkpoint.
    """

    best: EarlyStopping
    history: list[dict[str, float]]
    parameters: int
    digest: str


def _pretrain_one(
    corpus: PreparedCorpus,
    description: EncoderDescription,
    options: Encoder,
    directory: Path,
    savepoints: Savepoints,
    placed: tuple[Replicate, str],
) -> _Trained:
    replicate, device = placed
    modality = description.modality
    path = directory / f"{replicate.name}.safetensors"
    seed_torch(replicate.seed, "pretrain", "torch", modality, replicate.fold)
    encoder = _build(modality, description).to(device)
    rng = generator(replicate.seed, "pretrain", modality, replicate.fold)
    train, val = (SplitRows(corpus, modality, replicate, split, device) for split in ("train", "val"))
    best, history = train_encoder(encoder, train, val, options, rng, savepoints.at(replicate.name))
    save_encoder(path, encoder.state_dict(), corpus.scaler(modality, replicate), description)
    logger.info("%s %s: epoch %d, %.3f", modality, replicate.name, best.best_epoch, best.best_score)
    return _Trained(best, history, sum(p.numel() for p in encoder.parameters()), digest_file(path))


def _build(modality: str, description: EncoderDescription) -> UnimodalEncoder:
    try:
        return build_encoder(description)
    except ConfigError as error:
        raise ConfigError([f"params.yaml: pretrain.{modality}.{fault}" for fault in error.faults]) from None


def train_encoder(
    encoder: UnimodalEncoder,
    train: SplitRows,
    val: SplitRows,
    options: Encoder,
    rng: np.random.Generator,
    savepoint: Savepoint,
) -> tuple[EarlyStopping, list[dict[str, float]]]:
    """Train in place and leave the best epoch's weights in the encoder.

    Args:
        rng: order of the rows.
        savepoint: of the training.

    Returns:
        The best epoch and its scores, and one line of history per epoch.
    """
    optimizer = make_optimizer(encoder, options.lr, options.weight_decay)
    epochs = range(1, options.epochs + 1)
    loop = EpochLoop(encoder, [optimizer], rng, epochs, options.patience, savepoint)
    for _ in loop:
        train_loss = _train_epoch(encoder, train, optimizer, _batches(len(train), options.batch_size, rng))
        val_loss, score = _score(encoder, val)
        loop.end({"train_loss": train_loss, "val_loss": val_loss, "val_weighted_f1": score}, score, val_loss)
    return loop.stopping, loop.history


def _batches(rows: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    # Sorted within a batch: the same mini-batch, but a memory map is read forwards.
    order = torch.from_numpy(rng.permutation(rows))
    return (batch.sort().values for batch in order.split(size))


def _train_epoch(encoder: UnimodalEncoder, train: SplitRows, optimizer: AdamW, batches: Iterator[Tensor]) -> float:
    encoder.train()
    total = torch.zeros(())
    for batch in batches:
        loss = train_step(encoder, train.gather(batch), train.labels[batch], optimizer)
        total += loss.cpu() * len(batch)
    return float(total) / len(train)


def make_optimizer(encoder: UnimodalEncoder, lr: float, weight_decay: float) -> AdamW:
    """Fused AdamW over an encoder whose wide layers keep the memory of their gradients between steps."""
    reuse_gradients(encoder)
    return AdamW(encoder.parameters(), lr, weight_decay=weight_decay)


def train_step(encoder: UnimodalEncoder, x: Tensor, labels: Tensor, optimizer: AdamW) -> Tensor:
    """One optimiser step on a mini-batch [n, dim] with its labels [n]; returns the detached loss."""
    loss = nn.functional.cross_entropy(encoder(x).logits, labels)
    optimizer.zero_grad()
    loss.backward()
    _clip_gradients(list(encoder.parameters()))
    optimizer.step()
    return loss.detach()


def _clip_gradients(parameters: list[nn.Parameter]) -> None:
    # As clip_grad_norm_, but a wide encoder's gradients are rewritten only when they do exceed the norm.
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], foreach=True)
    if norm > CLIP_NORM:
        nn.utils.clip_grads_with_norm_(parameters, CLIP_NORM, norm, foreach=True)


@torch.inference_mode()
def _score(encoder: UnimodalEncoder, val: SplitRows) -> tuple[float, float]:
    """Mean cross-entropy and weighted F1 of the validation rows."""
    encoder.eval()
    logits = torch.cat([encoder(val.gather(batch)).logits for batch in torch.arange(len(val)).split(SCORING_BATCH)])
    loss = nn.functional.cross_entropy(logits, val.labels)
    return float(loss), weighted_f1(val.labels.cpu().numpy(), logits.argmax(dim=1).cpu().numpy())
