"""Standardisation fitted on a replicate's labelled training rows, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from ramer.data.feature_blocks import read_blocks
from ramer.data.replicates import TRAIN
from ramer.errors import CorpusError
from ramer.modalities import MODALITIES


class FittedScaler(NamedTuple):
    """Standardisation of a modality.

    Attributes:
        mean: float32 [dim].
        std: float32 [dim], 1 for a constant column.
        constant: whether all columns are.
    """

    mean: Float32[np.ndarray, " dim"]
    std: Float32[np.ndarray, " dim"]
    constant: bool


def fit_scaler(path: Path, rows: Int64[np.ndarray, " train"]) -> FittedScaler:
    """Mean and population standard deviation of the rows that are not missing, in float64, block by block.

    Args:
        path: a modality's ``.npy``, float32 [rows, dim], NaN rows where missing.
        rows: row numbers, at least one of them not missing.
    """
    # Two passes, so that neither a large mean nor a wild first row costs digits of the variance.
    total, count = np.zeros(()), 0
    for block in _held(path, rows):
        total = total + block.sum(axis=0)
        count += len(block)
    if not count:
        raise ValueError("expected at least one row that holds the modality, got none")
    mean = total / count
    squares = np.zeros_like(mean)
    for block in _held(path, rows):
        squares += ((block - mean) ** 2).sum(axis=0)
    std = np.sqrt(squares / count)
    constant = std <= np.finfo(np.float32).eps * np.abs(mean)  # what float32 cannot tell from constant
    return FittedScaler(mean.astype(np.float32), np.where(constant, 1.0, std).astype(np.float32), bool(constant.all()))


def _held(path: Path, rows: np.ndarray) -> Iterator[np.ndarray]:
    for block in read_blocks(path, rows):
        yield block[~np.isnan(block).any(axis=1)].astype(np.float64)


def write_scalers(folder: Path, codes: np.ndarray, names: tuple[str, ...], dims: dict[str, int]) -> list[str]:
    """Write ``scalers.npz`` beside the features: ``<modality>_mean`` and ``<modality>_std`` float32 [replicates, dim].

    Args:
        codes: int8 [replicates, rows], positions in ``SPLITS``.

    Returns:
        Notes of modalities that are the same in every training row, one line each.

    Raises:
        CorpusError: no training row of a replicate holds a modality that the corpus has.
    """
    arrays: dict[str, np.ndarray] = {}
    faults, notes = [], []
    for modality in MODALITIES:
        fitted: dict[bytes, FittedScaler] = {}  # seeds without a budget share their training rows
        for name, codes_of in zip(names, codes, strict=True):
            train = np.flatnonzero(codes_of == TRAIN)
            key = train.tobytes()
            if key in fitted:
                continue
            fitted[key] = _plain(dims[modality])
            if dims[modality]:
                try:
                    fitted[key] = fit_scaler(folder / f"{modality}.npy", train)
                except ValueError:
                    faults.append(f"{modality}: {name}: no training row holds this modality, expected at least one")
        scalers = [fitted[np.flatnonzero(codes_of == TRAIN).tobytes()] for codes_of in codes]
        arrays[f"{modality}_mean"] = np.stack([scaler.mean for scaler in scalers])
        arrays[f"{modality}_std"] = np.stack([scaler.std for scaler in scalers])
        alike = [name for name, scaler in zip(names, scalers, strict=True) if scaler.constant]
        if alike:
            where = "" if len(alike) == len(names) else f" of {', '.join(alike)}"
            notes.append(f"{modality}: constant: all training rows{where} hold the same features, which tell nothing")
    if faults:
        raise CorpusError(faults)
    np.savez(folder / "scalers.npz", allow_pickle=False, **arrays)
    return notes


def _plain(dim: int) -> FittedScaler:
    """That changes nothing."""
    return FittedScaler(np.zeros(dim, dtype=np.float32), np.ones(dim, dtype=np.float32), False)
