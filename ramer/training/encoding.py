"""Hidden states and unimodal posteriors of every row, the pool included, from the frozen encoders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from ramer.config import Dump, Encoder
from ramer.data.prepared import PreparedCorpus, Replicate, Scaler
from ramer.digests import sealed_directory
from ramer.errors import ModelError, StaleError
from ramer.files import digest_file, map_new_array
from ramer.nn.encoder import UnimodalEncoder
from ramer.progress import track
from ramer.retrieval.states import STATES_FILE, StatesRecord
from ramer.seeding import machine
from ramer.training.checkpoints import (
    ENCODER_FILE,
    EncoderDescription,
    EncoderRecord,
    build_encoder,
    load_described_encoder,
)
from ramer.training.crossfit import CrossFitted, crossfit
from ramer.training.reuse import KeptStates, UnfinishedStates
from ramer.training.savepoints import NOTHING_KEPT, Savepoints


@dataclass(frozen=True)
class Reuse:
    """Where states are kept for the next run, which takes over those whose features, encoder and code are the same.

    Attributes:
        folder: of the blocks of rows that an earlier run kept, or nothing.
        code: digest of the code that computes states.
    """

    folder: Path
    code: str

    def kept(self, device: str, threads: int, batch_size: int) -> KeptStates:
        """What was kept of runs whose arithmetic was the same."""
        return KeptStates(self.folder, f"{self.code} {machine(threads, device)} {batch_size}")


def encode_corpus(
    corpus: PreparedCorpus,
    modality: str,
    encoders: Path,
    out: Path,
    *,
    options: Encoder,
    settings: Dump,
    threads: int = 1,
    device: str = "cpu",
    reuse: Reuse | None = None,
    savepoints: Savepoints = NOTHING_KEPT,
) -> None:
    """Run every row through each replicate's encoder; write ``states.npy``, ``posteriors.npy`` and ``states.json``.

    With ``settings.crossfit`` training rows get the states and posteriors of encoders that have not seen their labels.

    Args:
        encoders, out: directories to read and to write; NaN rows lack the modality, states are not normalised.
        options: of the encoder and its training, for cross-fitting.
        reuse: what an earlier run kept; the bytes of ``out`` do not depend on it. Nothing is kept if None.
        savepoints: to go on from; ``out`` does not depend on them either.

    Raises:
        StaleError: an encoder is missing or damaged.
        ModelError: an encoder belongs to another corpus.
    """
    summary = _read_summary(encoders / ENCODER_FILE, corpus, modality)
    kept = None if reuse is None else reuse.kept(device, threads, settings.batch_size)
    digests: dict[str, str] = {}
    crossfitted: dict[str, str] = {}
    with sealed_directory(out) as directory:
        states = _create(directory / "states.npy", corpus, summary.hidden_dim)
        posteriors = _create(directory / "posteriors.npy", corpus, corpus.classes)
        if summary.absent:
            states[:] = posteriors[:] = np.nan
        for replicate in () if summary.absent else corpus.replicates:
            path = encoders / f"{replicate.name}.safetensors"
            encoder, scaler = _load_for(path, corpus, modality, summary.hidden_dim)
            digests[replicate.name] = digest_file(path)
            written = states[replicate.index], posteriors[replicate.index]
            unfinished = UnfinishedStates(savepoints.numbered(f"{replicate.name}.rows"), written)
            encode_block = _Blocks(encoder.to(device), scaler, corpus.features[modality], digests[replicate.name], kept)
            for start in track(range(0, corpus.rows, settings.batch_size), f"dump {modality} {replicate.name}"):
                rows = slice(start, min(start + settings.batch_size, corpus.rows))
                computed = (written[0][rows], written[1][rows]) if start < unfinished.rows else None
                written[0][rows], written[1][rows] = encode_block(rows, computed)
                unfinished.reach(rows.stop)
            if settings.crossfit:
                found = _crossfit(corpus, modality, replicate, options, settings, encoder, scaler, savepoints)
                written[0][found.rows], written[1][found.rows] = found.states, found.posteriors
                crossfitted[replicate.name] = found.digest
        states.flush()
        posteriors.flush()
        StatesRecord(
            modality=modality,
            absent=summary.absent,
            hidden_dim=summary.hidden_dim,
            ids_digest=corpus.ids_digest,
            encoder_digests=digests,
            crossfit_digests=crossfitted,
        ).write(directory / STATES_FILE)
    # A block whose training rows were cross-fitted is not what is kept of it: it fails its digest, and is encoded anew.
    if kept is not None:
        kept.keep(out, {digests[r.name]: r.index for r in corpus.replicates if r.name in digests})


@dataclass(frozen=True)
class _Blocks:
    """States and posteriors of a block of rows: an earlier run's where they would be the same, else computed now."""

    encoder: UnimodalEncoder
    scaler: Scaler
    features: np.ndarray
    digest: str
    kept: KeptStates | None

    def __call__(self, rows: slice, computed: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray]:
        raw = self.features[rows]
        known = (self.kept.take(rows, raw, self.digest) if self.kept else None) or computed
        encoded = encode(self.encoder, self.scaler, raw) if known is None else known
        if self.kept:
            self.kept.add(rows, encoded, self.digest)
        return encoded


def _crossfit(
    corpus: PreparedCorpus,
    modality: str,
    replicate: Replicate,
    options: Encoder,
    settings: Dump,
    encoder: UnimodalEncoder,
    scaler: Scaler,
    savepoints: Savepoints,
) -> CrossFitted:
    description = EncoderDescription.of(modality, corpus.dims[modality], options, corpus.label_names)

    def encode_rows(own: UnimodalEncoder, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = settings.batch_size
        parts = [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]
        encoded = [encode(own, scaler, corpus.features[modality][part]) for part in parts]
        return np.concatenate([states for states, _ in encoded]), np.concatenate([proba for _, proba in encoded])

    def new_encoder() -> UnimodalEncoder:
        return build_encoder(description).to(encoder.cls.device)

    folds = settings.crossfit
    return crossfit(corpus, modality, replicate, options, folds, encoder, new_encoder, encode_rows, savepoints)


@torch.inference_mode()
def encode(
    encoder: UnimodalEncoder, scaler: Scaler, raw: Float[np.ndarray, "n dim"]
) -> tuple[Float[np.ndarray, "n hidden"], Float[np.ndarray, "n classes"]]:
    """States and posteriors of raw vectors, at once: the caller chooses the batch.

    Args:
        encoder: in eval mode.
        scaler: the one stored with the encoder.
        raw: raw features [n, dim]; a row that holds a NaN or an infinity is missing.

    Returns:
        float32 states [n, hidden], not normalised, and posteriors [n, classes]; NaN rows where missing.

    Raises:
        ModelError: the vectors do not have the encoder's width.
    """
    if raw.ndim != 2 or raw.shape[1] != encoder.input_dim:
        raise ModelError(f"features: expected shape [n, {encoder.input_dim}], got {list(raw.shape)}")
    held = np.isfinite(raw).all(axis=1)
    device = encoder.cls.device
    hidden, logits = encoder(torch.from_numpy(scaler.apply(raw[held])).to(device))
    states = np.full((len(raw), hidden.shape[1]), np.nan, dtype=np.float32)
    posteriors = np.full((len(raw), logits.shape[1]), np.nan, dtype=np.float32)
    states[held] = hidden.cpu().numpy()
    posteriors[held] = logits.softmax(dim=1).cpu().numpy()
    return states, posteriors


def _create(path: Path, corpus: PreparedCorpus, width: int) -> np.memmap:
    shape = (len(corpus.replicates), corpus.rows, width)
    return map_new_array(path, np.float32, shape)


def _read_summary(path: Path, corpus: PreparedCorpus, modality: str) -> EncoderRecord:
    summary = EncoderRecord.read(path)
    if summary.modality != modality:
        raise ModelError(f"{path}: modality: expected {modality}, got {summary.modality}")
    if summary.absent != (corpus.dims[modality] == 0):
        raise StaleError(f"{path}: absent: {summary.absent} does not fit {corpus.path}", path)
    return summary


def _load_for(path: Path, corpus: PreparedCorpus, modality: str, hidden_dim: int) -> tuple[UnimodalEncoder, Scaler]:
    encoder, scaler, description = load_described_encoder(path)
    expected = {
        "modality": (modality, description.modality),
        "input_dim": (corpus.dims[modality], description.input_dim),
        "label_names": (corpus.label_names, description.label_names),
        "hidden_dim": (hidden_dim, description.hidden_dim),
    }
    for key, (wanted, got) in expected.items():
        if wanted != got:
            raise ModelError(f"{path}: {key}: expected {wanted}, got {got}")
    return encoder, scaler
