"""Hidden states and unimodal posteriors of every row, the pool included, from the frozen encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.lib.format import open_memmap

from ramer.config import Config, Encoder
from ramer.data.prepared import PreparedCorpus, Replicate, Scaler
from ramer.digests import sealed_directory
from ramer.errors import ModelError
from ramer.files import digest_file, read_json, write_json
from ramer.nn.encoder import UnimodalEncoder
from ramer.progress import track
from ramer.seeding import choose_device
from ramer.training.checkpoints import build_encoder, describe_encoder, load_described_encoder
from ramer.training.crossfit import CrossFitted, crossfit
from ramer.training.reuse import Earlier


def dump(
    config: Config,
    modality: str,
    prepared: str | Path,
    encoders: str | Path,
    out: str | Path,
    *,
    reuse: Path | None = None,
    code: str = "",
) -> None:
    """Run every row through each replicate's encoder; write ``states.npy``, ``posteriors.npy`` and ``states.json``.

    With ``dump.crossfit`` training rows get the states and posteriors of encoders that have not seen their labels.

    Args:
        modality: a key of ``config.pretrain``.
        prepared: directory that the stage ``prepare`` wrote.
        encoders: directory that the stage ``pretrain`` wrote for the modality.
        out: directory to write, whole or not at all. States are not normalised; NaN rows lack the modality.
        reuse: directory in which blocks of rows are kept for the next run, which takes over those whose features,
            encoder and code are the same; the bytes of ``out`` do not depend on it. Nothing is kept if None.
        code: digest of the code that computes states.

    Raises:
        ModelError: an encoder is missing, damaged, or belongs to another corpus.
    """
    corpus = PreparedCorpus.open(prepared)
    encoders = Path(encoders)
    summary = _read_summary(encoders / "encoder.json", corpus, modality)
    device = choose_device(config.runtime.device)
    digests: dict[str, str] = {}
    crossfitted: dict[str, str] = {}
    earlier = None if reuse is None else Earlier(reuse, _recipe(config, device, code))
    with sealed_directory(out) as directory:
        states = _create(directory / "states.npy", corpus, summary["hidden_dim"])
        posteriors = _create(directory / "posteriors.npy", corpus, corpus.classes)
        for replicate in corpus.replicates:
            if summary["absent"]:
                states[replicate.index] = posteriors[replicate.index] = np.nan
                continue
            path = encoders / f"{replicate.name}.safetensors"
            encoder, scaler = _load_for(path, corpus, modality, summary["hidden_dim"])
            digests[replicate.name] = digest_file(path)
            encoder.to(device)
            starts = range(0, corpus.rows, config.dump.batch_size)
            for start in track(starts, f"dump {modality} {replicate.name}"):
                rows = slice(start, start + config.dump.batch_size)
                raw = corpus.features[modality][rows]
                known = earlier.take(rows, raw, digests[replicate.name]) if earlier else None
                encoded = encode(encoder, scaler, raw) if known is None else known
                if earlier:
                    earlier.add(rows, encoded, digests[replicate.name])
                states[replicate.index, rows], posteriors[replicate.index, rows] = encoded
            if config.dump.crossfit:
                found = _crossfit(config, corpus, modality, replicate, encoder, scaler)
                states[replicate.index, found.rows] = found.states
                posteriors[replicate.index, found.rows] = found.posteriors
                crossfitted[replicate.name] = found.digest
        states.flush()
        posteriors.flush()
        description = {"modality": modality, "absent": summary["absent"], "hidden_dim": summary["hidden_dim"]}
        digest = {"ids_digest": corpus.ids_digest, "encoder_digests": digests}
        if crossfitted:
            digest["crossfit_digests"] = crossfitted
        write_json(directory / "states.json", description | digest)
    # A block whose training rows were cross-fitted is not what is kept of it: it fails its digest, and is encoded anew.
    if earlier is not None:
        earlier.keep(Path(out), {digests[r.name]: r.index for r in corpus.replicates if r.name in digests})


def _crossfit(
    config: Config,
    corpus: PreparedCorpus,
    modality: str,
    replicate: Replicate,
    encoder: UnimodalEncoder,
    scaler: Scaler,
) -> CrossFitted:
    options: Encoder = getattr(config.pretrain, modality)
    description = describe_encoder(modality, corpus.dims[modality], options, corpus.label_names)

    def encode_rows(own: UnimodalEncoder, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = config.dump.batch_size
        parts = [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]
        encoded = [encode(own, scaler, corpus.features[modality][part]) for part in parts]
        return np.concatenate([states for states, _ in encoded]), np.concatenate([proba for _, proba in encoded])

    def new_encoder() -> UnimodalEncoder:
        return build_encoder(description).to(encoder.cls.device)

    folds = config.dump.crossfit
    return crossfit(corpus, modality, replicate, options, folds, encoder, new_encoder, encode_rows)


def _recipe(config: Config, device: str, code: str) -> str:
    parts = (code, torch.__version__, device, config.runtime.threads, config.dump.batch_size)
    return " ".join(str(part) for part in parts)


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
    return open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


def _read_summary(path: Path, corpus: PreparedCorpus, modality: str) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file, expected the output of the stage pretrain")
    summary: dict[str, Any] = read_json(path)
    if summary["modality"] != modality:
        raise ModelError(f"{path}: modality: expected {modality}, got {summary['modality']}")
    if summary["absent"] != (corpus.dims[modality] == 0):
        raise ModelError(f"{path}: absent: {summary['absent']} does not fit {corpus.path}; pretrain again")
    return summary


def _load_for(path: Path, corpus: PreparedCorpus, modality: str, hidden_dim: int) -> tuple[UnimodalEncoder, Scaler]:
    encoder, scaler, description = load_described_encoder(path)
    expected = {
        "modality": modality,
        "input_dim": corpus.dims[modality],
        "label_names": list(corpus.label_names),
        "hidden_dim": hidden_dim,
    }
    for key, value in expected.items():
        if description[key] != value:
            raise ModelError(f"{path}: {key}: expected {value}, got {description[key]}")
    return encoder, scaler
