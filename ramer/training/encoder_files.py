"""Encoders from their files, as they fit a corpus."""

from __future__ import annotations

from pathlib import Path

from ramer.data.prepared import PreparedCorpus, Scaler
from ramer.errors import ModelError, StaleError
from ramer.nn.encoder import UnimodalEncoder
from ramer.training.checkpoints import load_described_encoder
from ramer.training.encoder_record import EncoderRecord


def read_summary(path: Path, corpus: PreparedCorpus, modality: str) -> EncoderRecord:
    summary = EncoderRecord.read(path)
    if summary.modality != modality:
        raise ModelError(f"{path}: modality: expected {modality}, got {summary.modality}")
    if summary.absent != (corpus.dims[modality] == 0):
        raise StaleError(f"{path}: absent: {summary.absent} does not fit {corpus.path}", path)
    return summary


def load_fitting(path: Path, corpus: PreparedCorpus, modality: str, hidden_dim: int) -> tuple[UnimodalEncoder, Scaler]:
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
